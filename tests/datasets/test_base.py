"""What every data set does: pipelines, failures, wrappers, subsets, worker processes."""

import pickle
import re

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset, pseudo_collate
from torch.utils.data import DataLoader

from rdet.datasets import BadImageError, CocoDataset, DatasetError, LoadReport, check_same_classes, classes_of
from rdet.datasets import dataset_table as table
from rdet.registry import DATASETS

PACK = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]


def test_pipeline_that_returns_none(coco, write):
    dataset = CocoDataset(**write(coco), pipeline=[lambda record: None])
    with pytest.raises(DatasetError, match=r"img/3\.png: the pipeline returned None"):
        dataset[1]


def test_failing_transform_names_the_image(coco, write):
    dataset = CocoDataset(**write(coco), pipeline=[lambda record: 1 / 0])
    with pytest.raises(RuntimeError, match=r"img/3\.png: the pipeline failed: ZeroDivisionError: division by zero"):
        dataset[1]


def test_records_are_not_shared_between_reads(coco, write):
    dataset = CocoDataset(**write(coco))
    dataset.get_data_info(1)["gt_bboxes"][:] = 0
    assert dataset.get_data_info(1)["gt_bboxes"][0, 3] == 22


def test_records_live_in_one_buffer(coco, write):
    dataset = CocoDataset(**write(coco))
    assert dataset.data_list == []
    assert dataset.data_bytes.nbytes == dataset.data_address[-1]


def test_get_subset(coco, write):
    dataset = CocoDataset(**write(coco)).get_subset([2, 0])
    assert [image["id"] for image in dataset.coco_ground_truth()["images"]] == [7, 9]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(coco, write, workers):
    dataset = CocoDataset(**write(coco), pipeline=PACK)
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=pseudo_collate)
    batches = list(loader)
    assert [len(batch["inputs"]) for batch in batches] == [2, 1]
    assert [s.img_id for batch in batches for s in batch["data_samples"]] == [7, 3, 9]
    assert [len(s.gt_instances) for batch in batches for s in batch["data_samples"]] == [1, 2, 0]


def test_error_in_a_worker_keeps_its_type(coco, write, tmp_path):
    dataset = CocoDataset(**write(coco), pipeline=PACK)
    (tmp_path / "img/7.png").unlink()
    with pytest.raises(BadImageError, match=r"7\.png: the image file is missing"):
        list(DataLoader(dataset, num_workers=1, collate_fn=pseudo_collate))


def test_pickle(coco, write):
    dataset = CocoDataset(**write(coco), pipeline=PACK)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.report == dataset.report
    assert again[1]["inputs"].equal(dataset[1]["inputs"])


def test_wrappers_from_a_config(coco, write):
    one = {"type": "CocoDataset", "pipeline": PACK, **write(coco)}
    repeated = DATASETS.build({"type": "RepeatDataset", "times": 3, "dataset": one})
    both = DATASETS.build({"type": "ConcatDataset", "datasets": [one, {**one, "indices": 2}]})
    assert (len(repeated), len(both)) == (9, 5)
    assert both[3]["data_samples"].img_id == repeated[6]["data_samples"].img_id == 7
    assert classes_of(both) == classes_of(repeated) == ("cat", "dog", "fox")


def row(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table(coco, write):
    kwargs = write(coco)
    train = CocoDataset(**kwargs)
    filtered = CocoDataset(**kwargs, filter_empty_gt=True)
    text = table(
        {
            "train": train,
            "filtered": filtered,
            "repeated": RepeatDataset(train, times=4),
            "both": ConcatDataset([train, RepeatDataset(filtered, 2).dataset]),
            "balanced": ClassBalancedDataset(train, oversample_thr=1.0),
        }
    )
    assert row(text, "split") == ["split", "images", "boxes", "ignored regions", "images without boxes", "left out"]
    assert row(text, "train") == ["train", "3", "3 (1 clipped)", "1", "1", "none"]
    assert row(text, "filtered") == ["filtered", "2", "3 (1 clipped)", "1", "0", "1 images without boxes"]
    assert row(text, "repeated") == ["repeated", "3 (12 an epoch)", "3 (1 clipped)", "1", "1", "none"]
    assert row(text, "both") == ["both", "5", "6 (2 clipped)", "2", "1", "1 images without boxes"]
    # each class is in a third of the images: repeated ceil(sqrt(3)) = 2 times
    assert row(text, "balanced") == ["balanced", "3 (5 an epoch)", "3 (1 clipped)", "1", "1", "none"]


def test_table_of_a_data_set_without_report(coco, write):
    dataset = CocoDataset(**write(coco))
    del dataset.report
    assert row(table({"own": dataset}), "own") == ["own", "3", "3", "1", "1", "none"]


def test_reports_add_up():
    one = LoadReport(1, 2, 3, 4, {"images missing": 1, "x": 1}, 5)
    assert one + LoadReport(10, 20, 30, 40, {"images missing": 2}, 50) == LoadReport(
        11, 22, 33, 44, {"images missing": 3, "x": 1}, 55
    )


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", "dog"], "only train has fox; set metainfo=dict(classes=('cat', 'dog', 'fox')) on val"),
        (
            ["dog", "cat", "fox"],
            "label 0 is 'cat' in train and 'dog' in val; set metainfo=dict(classes=('cat', 'dog', '",
        ),
    ],
)
def test_different_classes(coco, write, classes, message):
    kwargs = write(coco)
    train, val = CocoDataset(**kwargs), CocoDataset(**kwargs, metainfo={"classes": classes})
    with pytest.raises(DatasetError, match=re.escape(f"train and val differ in their classes: {message}")):
        check_same_classes(train, val, ("train", "val"))


def test_many_classes_are_not_listed(coco, write):
    coco["categories"] += [{"id": i, "name": f"class {i}"} for i in range(20, 50)]
    kwargs = write(coco)
    train, val = CocoDataset(**kwargs), CocoDataset(**kwargs, metainfo={"classes": ("fox",)})
    message = "set metainfo=dict(classes=...) on val to the 33 classes of train, in their order"
    with pytest.raises(DatasetError, match=re.escape(message)):
        check_same_classes(train, val, ("train", "val"))


def test_each_split_has_a_class_of_its_own(coco, write):
    kwargs = write(coco)
    train = CocoDataset(**kwargs, metainfo={"classes": ["cat", "dog"]})
    test = CocoDataset(**kwargs, metainfo={"classes": ["fox", "cat"]})
    with pytest.raises(DatasetError, match="classes: only train has dog; only test has fox;"):
        check_same_classes(RepeatDataset(train, 2), test, ("train", "test"))


def test_same_classes(coco, write):
    kwargs = write(coco)
    assert check_same_classes(CocoDataset(**kwargs), CocoDataset(**kwargs, indices=1), ("train", "val")) is None


def test_data_set_without_classes(coco, write):
    dataset = CocoDataset(**write(coco))
    dataset._metainfo.pop("classes")
    with pytest.raises(DatasetError, match=r"CocoDataset does not say its classes; set metainfo\['classes'\]"):
        classes_of(dataset)


def test_negative_index_is_the_last_image(coco, write):
    dataset = CocoDataset(**write(coco))
    np.testing.assert_array_equal(dataset[-1]["gt_bboxes"], dataset[2]["gt_bboxes"])
    assert dataset[-1]["img_id"] == 9
