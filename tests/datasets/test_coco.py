"""CocoDataset: records, counts, ground truth and messages."""

import json
import os
import re

import numpy as np
import pytest

from rdet.datasets import CocoDataset, CsvDataset, DatasetError, LoadReport
from rdet.registry import DATASETS


def test_record(coco, write):
    dataset = CocoDataset(**write(coco))
    assert [dataset.get_data_info(i)["img_id"] for i in range(3)] == [7, 3, 9]
    record = dataset.get_data_info(1)
    assert record["img_path"].endswith("/img/3.png")
    assert (record["height"], record["width"]) == (30, 40)
    # xywh -> xyxy, the second one clipped to the image
    np.testing.assert_array_equal(record["gt_bboxes"], [[1, 2, 11, 22], [30, 20, 40, 30], [0, 0, 40, 30]])
    np.testing.assert_array_equal(record["gt_bboxes_labels"], [1, 2, 0])
    np.testing.assert_array_equal(record["gt_ignore_flags"], [False, False, True])
    assert record["gt_bboxes"].dtype == np.float32
    assert record["gt_bboxes_labels"].dtype == np.int64
    assert dataset.metainfo["classes"] == ("cat", "dog", "fox")
    assert dataset.report == LoadReport(images=3, boxes=3, ignored=1, empty_images=1, dropped={}, clipped=1)


def test_image_without_boxes_has_empty_arrays(coco, write):
    record = CocoDataset(**write(coco)).get_data_info(2)
    assert record["gt_bboxes"].shape == (0, 4)
    assert record["gt_bboxes_labels"].shape == record["gt_ignore_flags"].shape == (0,)


def test_whole_numbers_may_have_a_point(coco, write):
    """As pandas writes them where a column had a gap."""
    expected = CocoDataset(**write(coco))
    for table, keys in (("images", ("id", "width")), ("annotations", ("id", "image_id", "category_id"))):
        for row in coco[table]:
            row |= {key: float(row[key]) for key in keys}
    dataset = CocoDataset(**write(coco, images=False))
    assert dataset.report == expected.report
    assert dataset.coco_ground_truth() == expected.coco_ground_truth()
    assert type(dataset.get_data_info(0)["img_id"]) is int


@pytest.mark.parametrize("prefix", ["img", "img/"])
def test_prefix_with_and_without_slash(coco, write, prefix):
    kwargs = write(coco) | {"data_prefix": {"img": prefix}}
    assert CocoDataset(**kwargs).get_data_info(0)["img_path"] == f"{kwargs['data_root']}/img/7.png"


def test_absolute_file_name_ignores_the_prefix(coco, write):
    coco["images"][0]["file_name"] = "/elsewhere/7.png"
    assert (
        CocoDataset(**write(coco, images=False), allow_outside=True).get_data_info(0)["img_path"] == "/elsewhere/7.png"
    )


def test_classes_pick_and_order(coco, write):
    dataset = CocoDataset(**write(coco), metainfo={"classes": ["fox", "cat"]})
    assert dataset.metainfo["classes"] == ("fox", "cat")
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes_labels"], [0, 1])
    assert dataset.report == LoadReport(3, 2, 1, 1, {}, clipped=1)


def test_rename_merges(coco, write):
    dataset = CocoDataset(**write(coco), rename_classes={"fox": "canine", "dog": "canine"})
    assert dataset.metainfo["classes"] == ("cat", "canine")
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes_labels"], [1, 1, 0])
    truth = dataset.coco_ground_truth()
    assert truth["categories"] == [{"id": 5, "name": "cat"}, {"id": 2, "name": "canine"}]
    assert {a["id"]: a["category_id"] for a in truth["annotations"]} == {11: 2, 12: 5, 13: 2, 14: 5}


def test_equal_names_in_the_file_are_one_class(coco, write):
    coco["categories"][2]["name"] = "cat"
    dataset = CocoDataset(**write(coco))
    assert dataset.metainfo["classes"] == ("cat", "dog")
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes_labels"], [1, 0, 0])


def test_boxes_without_area_are_dropped_and_named(coco, write, log):
    for i, bbox in enumerate([[5, 5, 0, 3], [5, 5, 3, -1], [50, 5, 3, 3], [5, -4, 3, 4]], start=20):
        coco["annotations"].append({"id": i, "image_id": 9, "category_id": 5, "bbox": bbox})
    dataset = CocoDataset(**write(coco))
    assert dataset.report.dropped == {"boxes without width or height": 2, "boxes outside the image": 2}
    assert dataset.report.boxes == 3
    assert "ann.json: left out 2 boxes without width or height: annotation 20, annotation 21" in log.text
    assert "left out 2 boxes outside the image: annotation 22, annotation 23" in log.text
    # the evaluation still sees them
    assert {20, 21, 22, 23} < {a["id"] for a in dataset.coco_ground_truth()["annotations"]}


@pytest.mark.parametrize(
    ("bbox", "clipped"),
    [
        ([-1, 5, 3, 3], 1),
        ([5, -1, 3, 3], 1),
        ([38, 5, 3, 3], 1),
        ([5, 28, 3, 3], 1),
        ([-9, -9, 99, 99], 1),
        ([0, 0, 40, 30], 0),
        ([0.01, 0, 40, 30.01], 0),  # rounded in the file
        ([50, 5, 3, 3], 0),  # left out, not clipped
        ([5, 5, -9, 3], 0),
    ],
)
def test_clipped_boxes_are_counted(coco, write, bbox, clipped):
    coco["annotations"] = [
        {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 1, 2, 2]},
        {"id": 2, "image_id": 7, "category_id": 5, "bbox": bbox},
        {"id": 3, "image_id": 3, "category_id": 5, "bbox": bbox},
        {"id": 4, "image_id": 7, "category_id": 2, "bbox": bbox},  # of another class
        {"id": 5, "image_id": 7, "category_id": 5, "bbox": bbox, "iscrowd": 1},
    ]
    kwargs = write(coco) | {"metainfo": {"classes": ["cat"]}}
    assert CocoDataset(**kwargs).report.clipped == 2 * clipped
    assert CocoDataset(**kwargs, indices=1).report.clipped == clipped  # of the images that are used


def test_warning_names_only_the_first_few(coco, write, log):
    for i in range(20, 25):
        coco["annotations"].append({"id": i, "image_id": 9, "category_id": 5, "bbox": [1, 1, 0, 0]})
    CocoDataset(**write(coco))
    assert "left out 5 boxes without width or height: annotation 20, annotation 21, annotation 22, ..." in log.text


def test_boxes_keep_the_order_of_the_file(coco, write):
    coco["annotations"] = [
        {"id": i, "image_id": (7, 3, 9)[i % 3], "category_id": 5, "bbox": [i / 10, 0, 1, 1]} for i in range(300)
    ]
    dataset = CocoDataset(**write(coco))
    for i in range(3):
        expected = np.arange(i, 300, 3, dtype=np.float32) / 10
        np.testing.assert_allclose(dataset.get_data_info(i)["gt_bboxes"][:, 0], expected, rtol=1e-6)


def test_filter_empty_gt(coco, write):
    dataset = CocoDataset(**write(coco), filter_empty_gt=True, metainfo={"classes": ["cat"]})
    # image 3 only has a crowd, image 9 nothing
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == [7]
    assert dataset.report == LoadReport(1, 1, 0, 0, {"images without boxes": 2})


@pytest.mark.parametrize(("indices", "ids"), [(2, [7, 3]), (-1, [9]), ([2, 0], [9, 7]), (100, [7, 3, 9])])
def test_indices(coco, write, indices, ids):
    dataset = CocoDataset(**write(coco), indices=indices, test_mode=True)
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == ids
    assert sorted(i["id"] for i in dataset.coco_ground_truth()["images"]) == sorted(ids)
    assert dataset.report.images == len(ids)


def test_get_cat_ids_are_the_labels_to_learn(coco, write):
    assert CocoDataset(**write(coco)).get_cat_ids(1) == [1, 2]


def test_ground_truth_is_the_file(coco, write):
    truth = CocoDataset(**write(coco)).coco_ground_truth()
    assert truth["images"] == coco["images"]
    assert truth["annotations"] == coco["annotations"]
    assert truth["categories"] == coco["categories"]


def test_ground_truth_of_some_classes_is_in_label_order(coco, write):
    truth = CocoDataset(**write(coco), metainfo={"classes": ("fox", "cat")}).coco_ground_truth()
    assert truth["categories"] == [{"id": 8, "name": "fox"}, {"id": 5, "name": "cat"}]
    assert [a["id"] for a in truth["annotations"]] == [12, 13, 14]
    assert len(truth["images"]) == 3


def test_ground_truth_fills_in_what_evaluation_needs(coco, write):
    del coco["annotations"][0]["area"], coco["annotations"][0]["iscrowd"]
    first = CocoDataset(**write(coco)).coco_ground_truth()["annotations"][0]
    assert (first["area"], first["iscrowd"]) == (200, 0)


def test_file_without_annotations_needs_test_mode(coco, write):
    del coco["annotations"]
    kwargs = write(coco)
    dataset = CocoDataset(**kwargs, test_mode=True)
    assert dataset.report == LoadReport(3, 0, 0, 3, {})
    assert dataset.coco_ground_truth()["annotations"] == []
    with pytest.raises(DatasetError, match=r"ann\.json has no 'annotations'; set test_mode=True to load images alone"):
        CocoDataset(**kwargs)


def _drop(content, table, i, key):
    del content[table][i][key]


BROKEN = [
    (lambda c: c.pop("categories"), "ann.json has no 'categories'; give a COCO file"),
    (lambda c: c.update(images=None), "ann.json: 'images' is not a list but None"),
    (lambda c: _drop(c, "images", 1, "file_name"), "ann.json: images[1] lacks 'file_name'; add it or drop the entry"),
    (lambda c: _drop(c, "images", 1, "height"), "ann.json: images[1] lacks 'height'; add it or drop the entry"),
    (lambda c: _drop(c, "annotations", 2, "bbox"), "ann.json: annotations[2] lacks 'bbox'; add it or drop the entry"),
    (lambda c: _drop(c, "annotations", 0, "id"), "ann.json: annotations[0] lacks 'id'; add it or drop the entry"),
    (lambda c: c["annotations"].append([1]), "ann.json: annotations[4] is no object but [1]"),
    (lambda c: c["images"][0].update(file_name=7), "ann.json: images entry 7 has the file_name 7; give the path"),
    (lambda c: c["images"][0].update(width=0), "ann.json: images entry 7 is 0 wide and 30 high; give its size"),
    (lambda c: c["images"][0].update(width="40"), "ann.json: images entry 7 is '40' wide and 30 high; give its size"),
    (lambda c: c["images"][2].update(id=7), "ann.json: images[0] and images[2] have the same id 7; renumber them"),
    (lambda c: c["annotations"][3].update(id=12), "ann.json: annotations[1] and annotations[3] have the same id 12"),
    (lambda c: c["categories"][2].update(id=5), "ann.json: categories[0] and categories[2] have the same id 5"),
    (lambda c: c["images"][0].update(id="x"), "ann.json: images[0] has the id 'x'; use a whole number"),
    (
        lambda c: c["annotations"][1].update(image_id=4),
        "ann.json: annotation 12 refers to the image 4, which the file does not have; add the image or remove",
    ),
    (
        lambda c: c["annotations"][1].update(category_id=6),
        "ann.json: annotation 12 refers to the category 6, which the file does not have; add the category or remove",
    ),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, 3]), "ann.json: annotation 12 has the bbox [1, 2, 3]; it must"),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, 3, float("nan")]), "annotation 12 has the bbox [1, 2, 3, nan]"),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, 3, None]), "annotation 12 has the bbox [1, 2, 3, None]"),
    (lambda c: c["annotations"][1].update(bbox=["1", 2, 3, 4]), "annotation 12 has the bbox ['1', 2, 3, 4]; it must"),
    (lambda c: c["annotations"][1].update(area="big"), "ann.json: annotation 12 has the area 'big'; it must be a"),
    (lambda c: c["annotations"][1].update(iscrowd="0"), "ann.json: annotation 12 has the iscrowd '0'; it must be 0 or"),
    (lambda c: c["annotations"][1].update(iscrowd=2), "ann.json: annotation 12 has the iscrowd 2; it must be 0 or 1"),
    (lambda c: c["annotations"][1].update(iscrowd=[]), "ann.json: annotation 12 has the iscrowd []; it must be 0 or 1"),
    (
        lambda c: c["categories"][1].update(name=7),
        "ann.json: category 2 has the name 7; it must be a text",
    ),
    (
        lambda c: c["categories"][1].update(name=None),
        "ann.json: category 2 has the name None; it must be a text",
    ),
    (lambda c: c["categories"][1].update(name=" "), "ann.json: category 2 has the name ' '; it must be a text"),
    (lambda c: c["categories"][1].update(name="\ud800"), "ann.json: category 2 has the name '\\ud800'; it must be"),
    (lambda c: c["images"][0].update(file_name="\ud800"), "entry 7 has the file_name '\\ud800'; give the path"),
    (lambda c: c["images"][0].update(file_name="a\0.png"), "entry 7 has the file_name 'a\\x00.png'; give the path"),
    (lambda c: c["images"][0].update(file_name=""), "entry 7 has the file_name ''; give the path"),
    (lambda c: c["images"][0].update(width=True), "ann.json: images entry 7 is True wide and 30 high; give its size"),
    (lambda c: c["images"][0].update(width=2**31 + 1), "ann.json: images entry 7 is 2147483649 wide and 30 high; give"),
    (lambda c: c["images"][0].update(id=10**400), "ann.json: images[0] has the id 10000"),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, 10**400, 4]), "annotation 12 has the bbox [1, 2, 1000"),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, 10**30, 4]), "annotation 12 has the bbox [1, 2, 1000"),
    (lambda c: c["annotations"][1].update(bbox=[1, 2, -1e300, 4]), "annotation 12 has the bbox [1, 2, -1e+300, 4]"),
    (lambda c: c["annotations"][1].update(bbox=[True, 2, 3, 4]), "annotation 12 has the bbox [True, 2, 3, 4]; it must"),
    (lambda c: c["annotations"][1].update(bbox="1234"), "annotation 12 has the bbox '1234'; it must"),
    (lambda c: c["annotations"][1].update(area=True), "ann.json: annotation 12 has the area True; it must be a number"),
    (
        lambda c: c["annotations"][1].update(image_id=True),
        "annotation 12 refers to the image True, which the file does",
    ),
    (lambda c: c["annotations"][1].update(image_id=[7]), "annotation 12 refers to the image [7], which the file does"),
    (lambda c: c.update(categories=[], annotations=[]), "ann.json has no class; COCO files list them in 'categories'"),
    (lambda c: c.update(images=[], annotations=[]), "ann.json: 0 of 0 images kept (it lists none); your classes are"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN)
def test_broken_file(coco, write, spoil, message):
    spoil(coco)
    kwargs = write(coco, images=False)
    with pytest.raises(DatasetError, match=re.escape(message)) as error:
        CocoDataset(**kwargs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ann.json is empty"),
        (b" \n", "ann.json is empty"),
        (b"{'a'", "ann.json is not JSON (Expecting"),
        (b'{"images": "\xff"}', "ann.json is not JSON ('utf-8' codec can't decode byte 0xff"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "ann.json is not JSON ("),
        (b"[]", "ann.json has no 'images'"),
        (b"[" * 100_000, "ann.json is nested too deeply for a COCO file; write it again"),
        (b'{"images": [], "a": {"id": 1, "id": 2}}', "ann.json: an object has the key 'id' more than once; leave one"),
    ],
)
def test_not_a_coco_file(tmp_path, content, message):
    (tmp_path / "ann.json").write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(message)) as error:
        CocoDataset("ann.json", data_root=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [0, 1, False, True, None])
def test_iscrowd(coco, write, value):
    coco["annotations"][1]["iscrowd"] = value
    assert CocoDataset(**write(coco)).get_data_info(0)["gt_ignore_flags"].tolist() == [bool(value)]


@pytest.mark.parametrize("kind", [CocoDataset, CsvDataset])
def test_folder_in_place_of_annotations(tmp_path, kind):
    (tmp_path / "ann").mkdir()
    message = r"cannot be read \(it is a folder\); set ann_file to a file in data_root$"
    with pytest.raises(DatasetError, match=rf"ann {message}"):
        kind("ann", data_root=tmp_path)
    with pytest.raises(DatasetError, match=rf"^\. {message}"):
        kind("", data_root=tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r"no\.json: no such file; check ann_file and data_root"):
        CocoDataset("no.json", data_root=tmp_path)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"metainfo": {"classes": ["cat", "dgo"]}}, "ann.json has no class 'dgo'. Did you mean 'dog'? Valid: cat, dog"),
        ({"metainfo": {"classes": "cat"}}, "metainfo.classes is the string 'cat'; write a tuple: ('cat',)"),
        ({"metainfo": {"classes": []}}, "metainfo.classes is empty; name a class, or leave it out to take all of"),
        ({"metainfo": {"classes": ["cat", "cat"]}}, "metainfo.classes names 'cat' more than once"),
        (
            {"rename_classes": {"act": "x"}},
            "ann.json has no class 'act', which rename_classes names. Did you mean 'cat'? Valid: cat",
        ),
        ({"indices": [0, 3]}, "ann.json: indices [0, 3] exceed its 3 images"),
        ({"indices": 0}, "ann.json: 0 of 3 images kept (indices is 0); your classes are cat, dog, fox, the file has"),
    ],
)
def test_wrong_choice(coco, write, kwargs, message):
    with pytest.raises(DatasetError, match=re.escape(message)):
        CocoDataset(**write(coco), **kwargs)


def test_no_image_has_a_box_of_the_classes(coco, write):
    coco["categories"].append({"id": 1, "name": "owl"})
    message = "0 of 3 images kept (left out 3 images without boxes); your classes are owl, the file has cat, dog, fox"
    with pytest.raises(DatasetError, match=re.escape(message)):
        CocoDataset(**write(coco), metainfo={"classes": ["owl"]}, filter_empty_gt=True)


@pytest.mark.parametrize(
    ("bboxes", "kwargs", "reasons"),
    [
        ([], {}, "the file has none"),
        ([None], {}, "1 ignored regions"),
        ([[1, 2, 0, 3], [1, 2, 3, 0], [50, 0, 1, 1], None], {}, "2 boxes without .*, 1 boxes outside .*, 1 ignored.*"),
        ([[1, 2, 3, 4], None], {"metainfo": {"classes": ["cat"]}}, "1 boxes of other classes, 1 ignored regions"),
        ([[1, 2, 3, 4]], {"indices": -1}, "indices is -1"),
    ],
)
def test_no_box_to_learn(coco, write, bboxes, kwargs, reasons):
    crowd = coco["annotations"].pop()
    coco["annotations"] = [
        crowd if bbox is None else {"id": i, "image_id": 3, "category_id": 2, "bbox": bbox}
        for i, bbox in enumerate(bboxes)
    ]
    kwargs = write(coco) | kwargs
    message = rf"ann\.json: no box to learn in [13] images \({reasons}\); your classes are cat.*; mend the annotations"
    with pytest.raises(DatasetError, match=message) as error:
        CocoDataset(**kwargs)
    assert "\n" not in str(error.value)
    assert CocoDataset(**kwargs, test_mode=True).report.boxes == 0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"data_prefix": {"image": "img"}}, "data_prefix has no key 'image'. Did you mean 'img'"),
        ({"metainfo": {"palette": []}}, "metainfo has no key 'palette'. Valid: classes"),
        ({"metainfo": {"CLASSES": ["cat"]}}, "metainfo has no key 'CLASSES'. Did you mean 'classes'"),
    ],
)
def test_unknown_key(coco, write, kwargs, message):
    with pytest.raises(KeyError, match=re.escape(message)):
        CocoDataset(**(write(coco) | kwargs))


def test_on_bad_image_has_two_values(coco, write):
    with pytest.raises(ValueError, match="on_bad_image must be 'error', 'skip' or 'warn', got 'ignore'"):
        CocoDataset(**write(coco), on_bad_image="ignore")


def test_coco_mini(shared):
    dataset = DATASETS.build(
        {
            "type": "CocoDataset",
            "ann_file": "annotations/instances_train2017.json",
            "data_root": str(shared / "coco_mini"),
            "data_prefix": {"img": "train2017/"},
        }
    )
    assert dataset.report == LoadReport(images=166, boxes=1565, ignored=15, empty_images=0, dropped={})
    assert len(dataset.metainfo["classes"]) == 80


def test_ground_truth_scores_as_the_raw_file(shared, capsys):
    """The example of the COCO API, evaluated on the file and on what the data set makes of it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path = shared / "cocoapi100" / "instances_val2014_100.json"
    found = json.loads((shared / "cocoapi100" / "instances_val2014_fakebbox100_results.json").read_text())
    truth = COCO()
    truth.dataset = CocoDataset(path).coco_ground_truth()
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    np.testing.assert_allclose(evaluation.stats[:3], [0.5045806987, 0.6969727247, 0.5729816670], atol=1e-9)


def test_small_images_are_left_out(coco, write):
    kept = CocoDataset(**write(coco), min_image_size=1)
    sides = [min(kept.get_data_info(i)["height"], kept.get_data_info(i)["width"]) for i in range(len(kept))]
    limit = max(sides)
    dataset = CocoDataset(**write(coco), min_image_size=limit)
    assert len(dataset) == sides.count(limit)
    left_out = len(sides) - len(dataset)
    assert dataset.report.dropped.get(f"images below {limit} pixels", 0) == left_out


@pytest.mark.parametrize("area", ["-150", "1e999", "NaN", "-Infinity", "1" + 400 * "0", "1e11"])
def test_area_that_would_drop_the_box_is_that_of_the_box(coco, write, tmp_path, log, area):
    kwargs = write(coco)
    path = tmp_path / "ann.json"
    path.write_text(path.read_text().replace('"area": 150', f'"area": {area}'))
    dataset = CocoDataset(**kwargs)
    assert "ann.json: 1 areas are negative or not finite: annotation 11; those of the boxes are taken" in log.text
    log.clear()
    assert [a["area"] for a in dataset.coco_ground_truth()["annotations"]] == [200, 56, 400, 900]
    assert not log.text


def test_pipe_in_place_of_annotations(tmp_path):
    os.mkfifo(tmp_path / "ann.json")
    with pytest.raises(DatasetError, match=r"ann\.json cannot be read \(it is a pipe\); set ann_file to a file"):
        CocoDataset("ann.json", data_root=tmp_path)


def test_classes_may_cover_more_than_the_file(coco, write):
    classes = ("fox", "yak", "cat", "dog")
    dataset = CocoDataset(**write(coco), metainfo={"classes": classes})
    assert dataset.metainfo["classes"] == classes
    truth = dataset.coco_ground_truth()
    assert [(c["id"], c["name"]) for c in truth["categories"]] == [(8, "fox"), (9, "yak"), (5, "cat"), (2, "dog")]
    assert [a["category_id"] for a in truth["annotations"]] == [2, 5, 8, 5]
    with pytest.raises(DatasetError, match=r"has no class 'dig'"):  # a class of the file is not named: a mistake, maybe
        CocoDataset(**write(coco), metainfo={"classes": ("fox", "dig", "cat")})
