"""Each format says the same of an image, and can be read back."""

import csv
import io
import json
import os
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from bright_finder import scene

from rdet.apis.infer.shot import Found, Frame, Shot
from rdet.apis.infer.writers import make_writers
from rdet.errors import OutputError, UnknownNameError

CLASSES = ("b/c", "красный, red")
BOXES = np.array([[8.25, 10.0, 20.5, 30.0], [0.0, 0.0, 64.0, 0.25]], np.float32)


def found(name: str = "sub/a.png", boxes=BOXES, frame: Frame | None = None) -> Found:
    shot = Shot(name, name.rpartition(".")[0], f"in/{name}", frame, scene())
    scores, labels = np.array([0.75, 0.5], np.float32), np.array([1, 0])
    return Found(shot, 48, 64, boxes, scores[: len(boxes)], labels[: len(boxes)])


@pytest.fixture
def written(tmp_path):
    """Folder with what all writers make of two images, one without objects."""
    formats = ("coco", "json", "yolo", "voc", "csv", "pictures", "crops")
    writers = make_writers(formats, tmp_path, CLASSES)
    for writer in writers:
        writer.add(found())
        writer.add(found("none.dat", BOXES[:0]))
        writer.fail("bad.png", "it is bad")
        writer.close()
    return tmp_path


def test_coco_leaves_nothing_where_only_one_of_its_files_can_be_opened(tmp_path):
    (tmp_path / f".detections.annotations.json.{os.getpid()}.part").mkdir()
    (writer,) = make_writers(("coco",), tmp_path, CLASSES)
    with pytest.raises(OutputError, match="cannot write .*detections.annotations.json"):
        writer.add(found())
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_coco(written):
    content = json.loads((written / "detections.json").read_text())
    assert content["info"] == {"failed": {"bad.png": "it is bad"}}
    assert content["categories"] == [{"id": 1, "name": "b/c"}, {"id": 2, "name": "красный, red"}]
    assert [(image["id"], image["file_name"]) for image in content["images"]] == [(1, "sub/a.png"), (2, "none.dat")]
    assert [(row["id"], row["image_id"], row["category_id"]) for row in content["annotations"]] == [
        (1, 1, 2),
        (2, 1, 1),
    ]
    assert content["annotations"][0]["bbox"] == [8.25, 10.0, 12.25, 20.0]
    assert content["annotations"][0]["area"] == 245.0


def test_one_json_an_image(written):
    content = json.loads((written / "json/sub/a.json").read_text())
    assert content["detections"][0] == {
        "class": "красный, red",
        "label": 1,
        "score": 0.75,
        "xyxy": [8.25, 10.0, 20.5, 30.0],
    }
    assert json.loads((written / "json/none.json").read_text())["detections"] == []


def test_yolo(written):
    first, second = (written / "labels/sub/a.txt").read_text().splitlines()
    assert first == "1 0.224609 0.416667 0.191406 0.416667 0.750000"
    assert second.startswith("0 0.5")
    assert (written / "labels/none.txt").read_text() == ""
    assert (written / "classes.txt").read_text().splitlines() == list(CLASSES)


def test_voc(written):
    root = ElementTree.parse(written / "voc/sub/a.xml").getroot()
    assert [root.findtext(f"size/{tag}") for tag in ("width", "height")] == ["64", "48"]
    box = root.find("object/bndbox")
    assert [float(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax")] == [9.25, 11.0, 20.5, 30.0]
    assert (root.findtext("object/name"), root.findtext("object/score")) == ("красный, red", "0.750000")


def test_csv(written):
    rows = list(csv.DictReader((written / "detections.csv").open()))
    assert [row["image"] for row in rows] == ["sub/a.png", "sub/a.png", "none.dat"]
    assert [row["class"] for row in rows] == ["красный, red", "b/c", ""]
    assert [rows[0][key] for key in ("label", "score", "x1", "y1", "x2", "y2")] == [
        "1",
        "0.750000",
        "8.25",
        "10.00",
        "20.50",
        "30.00",
    ]


def test_pictures_and_crops(written):
    assert cv2.imread(str(written / "sub/a.png")).shape == (48, 64, 3)
    assert (cv2.imread(str(written / "none.dat.png")) == scene()).all()
    sizes = {str(p.relative_to(written)): cv2.imread(str(p)).shape[:2] for p in (written / "crops").rglob("*.jpg")}
    assert sizes == {"crops/красный_ red/sub/a_1.jpg": (20, 13), "crops/b_c/sub/a_2.jpg": (1, 64)}


def test_two_videos_after_each_other(tmp_path):
    (writer,) = make_writers(("video",), tmp_path, CLASSES)
    for name, count in (("x.mp4", 3), ("y.mp4", 2)):
        for index in range(count):
            writer.add(found(frame=Frame(name, index, 5.0)))
    writer.add(found())
    counts = {p.name: cv2.VideoCapture(str(p)).get(cv2.CAP_PROP_FRAME_COUNT) for p in tmp_path.iterdir()}
    assert counts == {"x.mp4": 3, "y.mp4": 2}


@pytest.mark.parametrize("name", ["coco", "csv", "yolo", "video", "pictures"])
def test_what_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "out").write_text("")  # a file where the folder should be
    (writer,) = make_writers((name,), tmp_path / "out", CLASSES)
    with pytest.raises((OutputError, NotADirectoryError, FileExistsError), match="out"):
        writer.add(found(frame=Frame("x.mp4", 0, 5.0) if name == "video" else None))


@pytest.mark.parametrize(("name", "file"), [("coco", "detections.json"), ("csv", "detections.csv"), ("video", "x.mp4")])
def test_a_folder_of_the_name_of_a_file_is_said_before_the_work(tmp_path, name, file):
    (tmp_path / file).mkdir()
    with pytest.raises(OutputError, match=rf"{file} \(Is a directory\); remove the folder of that name, or take"):
        make_writers((name,), tmp_path, CLASSES)[0].add(found(frame=Frame("x.mp4", 0, 5.0)))
    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("file", ["images", "annotations"])
def test_an_image_is_noted_with_its_detections_or_not_at_all(tmp_path, monkeypatch, file):
    """Whatever comes between, at whatever byte: the file can be read, and no image lacks what was found in it."""
    (writer,) = make_writers(("coco",), tmp_path, CLASSES)
    writer.add(found())
    part = getattr(writer, f"_{file}")

    class Interrupted(io.FileIO):
        def write(self, data):
            super().write(bytes(data)[:20])
            raise KeyboardInterrupt

    monkeypatch.setattr(part, "_file", Interrupted(part.part, "r+"))
    part._file.seek(0, 2)
    with pytest.raises(KeyboardInterrupt):
        writer.add(found("b.png"))
    writer.close()
    content = json.loads((tmp_path / "detections.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["sub/a.png"]
    assert [row["image_id"] for row in content["annotations"]] == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["detections.json"]


def test_a_format_that_is_none_is_said(tmp_path):
    with pytest.raises(UnknownNameError, match="no format 'cocoo'. Did you mean 'coco'"):
        make_writers(("cocoo",), tmp_path, CLASSES)
