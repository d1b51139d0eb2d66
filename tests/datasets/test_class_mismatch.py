"""Splits whose files have different classes: doing what the message says leads to a run, not to the next message."""

import ast
import json
import re

import pytest
from made_sets import write_csv, write_images, write_voc

from rdet.datasets import CocoDataset, CsvDataset, VocDataset, check_same_classes
from rdet.datasets.summary import classes_of
from rdet.errors import DatasetError


def coco_file(folder, name, classes):
    """Writes a COCO file with a box of each class; returns how it is read."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": i, "name": c} for i, c in enumerate(classes, 1)],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": i, "bbox": [i, i, 9, 9]} for i in range(1, len(classes) + 1)
        ],
    }
    (folder / name).write_text(json.dumps(content))
    return CocoDataset, {"ann_file": name, "data_root": str(folder)}


def xml_files(folder, name, classes):
    """Writes xml files in a folder of their own."""
    write_voc(folder / name, ["a"])
    path = folder / name / "a.xml"
    objects = "".join(
        f"<object><name>{c}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        for c in classes
    )
    path.write_text(re.sub("<object>.*</object>", objects, path.read_text()))
    return VocDataset, {"ann_file": name, "data_root": str(folder), "data_prefix": {"img": "", "xml": name}}


def table(folder, name, classes):
    """Writes a csv table."""
    write_csv(folder / name, ["c"])
    rows = "".join(f"\na.png,40,30,{c},1,1,9,9" for c in classes)
    (folder / name).write_text((folder / name).read_text() + rows)
    return CsvDataset, {"ann_file": name, "data_root": str(folder)}


@pytest.mark.parametrize("write", [coco_file, xml_files, table])
@pytest.mark.parametrize(
    ("train", "val", "chosen"),
    [
        (("red", "green"), ("red",), {}),
        (("red",), ("red", "green"), {}),
        (("red", "green"), ("green", "blue"), {}),
        (("blue", "red", "green"), ("red", "green"), {"train": ("red", "blue")}),
        (("red", "green"), ("blue", "grey", "green"), {"val": ("green", "blue")}),
        (("red", "green"), ("red", "green"), {"train": ("red", "green"), "val": ("green", "red")}),
    ],
)
def test_what_the_message_says_to_set_works(write, train, val, chosen, tmp_path):
    made = {"train": write(tmp_path, "train", train), "val": write(tmp_path, "val", val)}
    for split, classes in chosen.items():
        made[split][1]["metainfo"] = {"classes": classes}
    with pytest.raises(DatasetError, match="train and val differ in their classes: ") as error:
        check_same_classes(*(kind(**kwargs) for kind, kwargs in made.values()), ("train", "val"))
    classes, where = re.search(r"set metainfo=dict\(classes=(\(.*\))\) on (.*)$", str(error.value)).groups()
    for split in where.split(" and "):
        made[split][1]["metainfo"] = {"classes": ast.literal_eval(classes)}
    datasets = [kind(**kwargs) for kind, kwargs in made.values()]
    check_same_classes(*datasets, ("train", "val"))
    assert {*classes_of(datasets[1])} == {*chosen.get("train", train), *chosen.get("val", val)}
    assert len(datasets[1].coco_ground_truth()["categories"]) == len(classes_of(datasets[1]))


def test_a_class_that_a_part_lacks_is_no_slip(tmp_path):
    write_images(tmp_path)
    kind, kwargs = coco_file(tmp_path, "val.json", ("red", "green", "grey"))
    dataset = kind(**kwargs, metainfo={"classes": ("red", "blue")})
    assert (classes_of(dataset), dataset.report.by_class) == (("red", "blue"), (1,))
    for classes, message in (
        (("red", "gren"), "val.json has no class 'gren'. Did you mean 'green' or 'grey'"),
        (("blue", "ultraviolet"), "val.json has no class 'blue', 'ultraviolet'. Valid: green, grey, red"),
    ):
        with pytest.raises(DatasetError, match=re.escape(message)):
            kind(**kwargs, metainfo={"classes": classes})
