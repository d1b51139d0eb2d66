"""Classes whose boxes are regions to ignore, of all readers."""

import numpy as np
import pytest
import torch

from rdet.datasets import CocoDataset, CsvDataset, DatasetError, VocDataset, YoloDataset
from rdet.evaluation.coco_metric import CocoMetric


def test_boxes_become_regions(coco, write):
    dataset = CocoDataset(**write(coco), ignore_classes=["cat"])
    assert dataset.metainfo["classes"] == ("dog", "fox")
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first["gt_ignore_flags"].tolist() == [True]
    assert second["gt_ignore_flags"].tolist() == [False, False, True]
    assert second["gt_bboxes_labels"][:2].tolist() == [0, 1]
    assert (dataset.report.boxes, dataset.report.ignored) == (2, 2)


def test_a_region_is_one_for_every_class_of_the_evaluation(coco, write):
    truth = CocoDataset(**write(coco), ignore_classes=["cat"]).coco_ground_truth()
    assert truth["categories"] == [{"id": 2, "name": "dog"}, {"id": 8, "name": "fox"}]
    regions = [a for a in truth["annotations"] if a["iscrowd"]]
    assert [(a["image_id"], a["category_id"], a["bbox"]) for a in regions] == [
        (7, 2, [5.5, 6, 7, 8]),
        (7, 8, [5.5, 6, 7, 8]),
        (3, 2, [0, 0, 40, 30]),
        (3, 8, [0, 0, 40, 30]),
    ]
    assert len({a["id"] for a in truth["annotations"]}) == len(truth["annotations"])


@pytest.mark.parametrize(("ignored", "dog", "classes"), [((), 0.5, 2), (("cat",), 1.0, 1)])
def test_a_detection_in_a_region_is_no_false_positive(coco, write, ignored, dog, classes):
    """Of two detections of the dog, the surer one lies on the cat, which is not found."""
    coco["annotations"] = [coco["annotations"][0], {**coco["annotations"][1], "image_id": 3, "bbox": [20, 10, 10, 10]}]
    dataset = CocoDataset(**write(coco), ignore_classes=ignored)
    metric = CocoMetric(backend="pycocotools")
    metric.dataset_meta = dataset.metainfo
    metric.set_dataset(dataset)
    found = {
        "bboxes": torch.tensor([[20.0, 10, 30, 20], [1, 2, 11, 22]]),
        "scores": torch.tensor([0.9, 0.8]),
        "labels": torch.full((2,), dataset.metainfo["classes"].index("dog")),
    }
    for image_id in (7, 3, 9):
        one = {key: value if image_id == 3 else value[:0] for key, value in found.items()}
        metric.process(None, [{"img_id": image_id, "pred_instances": one}])
    assert metric.evaluate(3)["coco/bbox_mAP"] == pytest.approx(dog / classes, abs=0.01)


def test_voc_csv_and_yolo(voc, tmp_path):
    dataset = VocDataset("ImageSets/Main/train.txt", data_root=voc, ignore_classes=["dog"])
    assert dataset.metainfo["classes"] == ("ant", "cat")
    assert dataset.get_data_info(1)["gt_ignore_flags"].tolist() == [True, True]
    (tmp_path / "t.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,dog,1,1,9,9\na.png,40,30,cat,1,1,9,9\n"
    )
    for classes in (None, ("cat",), ("cat", "yak")):
        dataset = CsvDataset(
            "t.csv", data_root=tmp_path, ignore_classes=["dog"], metainfo=classes and {"classes": classes}
        )
        assert dataset.metainfo["classes"] == (classes or ("cat",))
        np.testing.assert_array_equal(dataset.get_data_info(0)["gt_ignore_flags"], [True, False])
    (tmp_path / "JPEGImages/a.txt").write_text("0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = YoloDataset("JPEGImages", data_root=tmp_path, ignore_classes=["dog"])
    assert dataset.get_data_info(0)["gt_ignore_flags"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"ignore_classes": ["Cat"]},
            r"ann\.json has no class 'Cat', which ignore_classes names\. Did you mean 'cat'\? Valid: cat, dog, fox",
        ),
        (
            {"ignore_classes": ["cat"], "metainfo": {"classes": ("cat",)}},
            "'cat' is in metainfo.classes and in ignore_class",
        ),
        ({"ignore_classes": ["cat", "dog", "fox"]}, r"ann\.json has no class besides those of ignore_classes"),
        ({"ignore_classes": "cat"}, r"ignore_classes is the string 'cat'; write a list: \['cat'\]"),
    ],
)
def test_wrong_names(coco, write, options, message):
    with pytest.raises((DatasetError, ValueError), match=message):
        CocoDataset(**write(coco), **options)
