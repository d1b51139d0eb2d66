"""Conversions: there and back again is the same, up to the rounding that the formats' writers state."""

import json
import os

import numpy as np
import pytest
from made_sets import write_coco, write_images, write_yolo
from PIL import Image

from rdet.commands.convert import main
from rdet.datasets.folders import look_at
from rdet.datasets.writers import TARGETS, convert_data
from rdet.errors import ConfigError, DatasetError

# Largest difference of an edge, in pixels of an image of 40: nine decimals of the side, two of a pixel.
ROUNDING = {"coco": 0, "yolo": 40e-9, "voc": 0.01}


@pytest.fixture
def source(tmp_path):
    """A COCO set of two parts in subfolders, with boxes that are not whole, without area and beyond the edge."""
    root = tmp_path / "source"
    for split, names in (("train", ("a", "d")), ("val", ("b", "c"))):
        write_images(root / split / "x", names)
        write_coco(root / f"{split}.json", names, prefix=f"{split}/x/")
    content = json.loads((root / "train.json").read_text())
    content["annotations"][0]["bbox"] = [1.234, 2.5, 10.001, 19.75]
    content["annotations"][1]["bbox"] = [35, 20, 12, 15.5]
    content["annotations"].append({"id": 9, "image_id": 1, "category_id": 2, "bbox": [3, 4, 0, 6]})
    (root / "train.json").write_text(json.dumps(content))
    return root


def rows_of(root) -> dict[str, np.ndarray]:
    """Boxes and classes of each image, as the files have them."""
    found = {}
    for split in look_at(str(root)).splits:
        dataset = look_at(str(root)).read(split)
        truth = dataset.coco_ground_truth()
        names = {c["id"]: c["name"] for c in truth["categories"]}
        for image in truth["images"]:
            rows = [
                (names[a["category_id"]], *a["bbox"], a["iscrowd"])
                for a in truth["annotations"]
                if a["image_id"] == image["id"]
            ]
            found[os.path.basename(image["file_name"])] = rows
    return found


def assert_same(one: dict, other: dict, rounding: float) -> None:
    assert one.keys() == other.keys()
    for name, rows in one.items():
        assert [(row[0], row[-1]) for row in rows] == [(row[0], row[-1]) for row in other[name]]
        a, b = (np.array([row[1:5] for row in r], dtype=float).reshape(-1, 4) for r in (rows, other[name]))
        np.testing.assert_allclose(a, b, atol=rounding, rtol=0)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_there_and_back_again(source, target, link, tmp_path):
    convert_data(look_at(str(source)), tmp_path / "there", target, link)
    convert_data(look_at(str(tmp_path / "there")), tmp_path / "back", "coco", link)
    before, there, back = (rows_of(tmp_path / name) for name in ("source", "there", "back"))
    assert_same(before, there, 2 * ROUNDING[target])
    assert_same(before, back, 2 * ROUNDING[target])
    assert look_at(str(tmp_path / "back")).splits.keys() == {"train", "val"}
    images = list((tmp_path / "there").rglob("*.png"))
    assert len(images) == 4
    assert all(path.is_symlink() == link and Image.open(path).size == (40, 30) for path in images)


@pytest.mark.parametrize("target", ["coco", "voc"])
def test_regions_stay(source, target, tmp_path):
    content = json.loads((source / "train.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    (source / "train.json").write_text(json.dumps(content))
    convert_data(look_at(str(source)), tmp_path / "there", target)
    assert rows_of(tmp_path / "there")["a.png"][0][-1] == 1


def test_what_a_format_cannot_hold_is_said(source, tmp_path):
    content = json.loads((source / "train.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    content["categories"].append({"id": 7, "name": "yak"})
    (source / "train.json").write_text(json.dumps(content))
    (source / "val.json").unlink()
    found = look_at(str(source))
    said = convert_data(found, tmp_path / "yolo", "yolo").splitlines()
    assert said[0].endswith("yolo: train 2 images with 5 boxes")
    assert said[1] == "left out: 1 of them that are regions to ignore, which YOLO's format does not have"
    said = convert_data(found, tmp_path / "voc", "voc").splitlines()
    assert said[1] == "left out: the classes without a box, yak: xml files list no classes"


def test_parts_that_call_images_alike(tmp_path):
    root = tmp_path / "source"
    for split in ("train", "val"):
        write_images(root / split, "a")
        write_coco(root / split / "labels.json", "a")
    for target in TARGETS:
        convert_data(look_at(str(root)), tmp_path / target, target)
        parts = look_at(str(tmp_path / target))
        assert {split: len(parts.read(split)) for split in parts.splits} == {"train": 1, "val": 1}
    assert sorted(path.name for path in (tmp_path / "voc/Annotations").iterdir()) == ["train_a.xml", "val_a.xml"]


@pytest.mark.parametrize("name", ["yes", "no: way", '"', "ünicode 猫", "#1", "- x", "<&>"])
def test_odd_names_of_classes(name, tmp_path):
    root = tmp_path / "source"
    write_images(root, "a")
    write_coco(root / "labels.json", "a")
    content = json.loads((root / "labels.json").read_text())
    content["categories"][0]["name"] = name
    (root / "labels.json").write_text(json.dumps(content))
    for target in TARGETS:
        convert_data(look_at(str(root)), tmp_path / target, target)
        assert_same(rows_of(root), rows_of(tmp_path / target), 2 * ROUNDING[target])


def test_a_folder_that_is_not_empty(source):
    with pytest.raises(ConfigError, match="source is not empty; choose another folder, or empty it"):
        convert_data(look_at(str(source)), source, "yolo")


def test_two_images_of_one_name(tmp_path):
    write_images(tmp_path / "source")
    write_images(tmp_path / "source", "a", ".jpg")
    write_yolo(tmp_path / "source")
    (tmp_path / "source/classes.txt").write_text("cat\ndog\n")
    convert_data(look_at(str(tmp_path / "source")), tmp_path / "coco", "coco")
    for target in ("yolo", "voc"):
        with pytest.raises(DatasetError, match=r"'a\.jpg' and 'a\.png' would share their file of boxes; rename one"):
            convert_data(look_at(str(tmp_path / "coco")), tmp_path / target, target)


def test_command(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["rdet convert", str(source), str(tmp_path / "out"), "--to", "yolo"])
    main()
    assert capsys.readouterr().out == f"{tmp_path}/out: train 2 images with 5 boxes, val 2 images with 1 boxes\n"
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("way", "back"), [(("yolo", "coco"), 500e-9), (("voc", "coco"), 0.02)])
def test_voc100(shared, tmp_path, way, back):
    """One set in three formats; the xml files there count from 0, though."""
    root = shared / "voc100"
    before = convert_data(look_at(str(root), "coco"), tmp_path / "0", "coco", link=True)
    for number, target in enumerate(way, 1):
        convert_data(look_at(str(tmp_path / str(number - 1))), tmp_path / str(number), target, link=True)
    assert before.endswith("all 100 images with 273 boxes")
    assert_same(rows_of(tmp_path / "0"), rows_of(tmp_path / "2"), back)
    xml = convert_data(look_at(str(root), "voc"), tmp_path / "xml", "coco", link=True, one_based=False)
    assert xml.endswith("all 100 images with 273 boxes")
    theirs = {name: sorted(r[:5] for r in rows) for name, rows in rows_of(tmp_path / "xml").items()}
    ours = {name: sorted(r[:5] for r in rows) for name, rows in rows_of(tmp_path / "0").items()}
    for name in ours:
        assert [row[0] for row in ours[name]] == [row[0] for row in theirs[name]]
        np.testing.assert_allclose([r[1:] for r in ours[name]], [r[1:] for r in theirs[name]], atol=1e-3)
