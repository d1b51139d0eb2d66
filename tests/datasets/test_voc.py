"""VocDataset and the converter to COCO."""

import json
import os
import re
import runpy
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from rdet.datasets import CocoDataset, DatasetError, LoadReport, VocDataset

TRAIN, VAL = "ImageSets/Main/train.txt", "ImageSets/Main/val.txt"


def convert(root, split, out, *options) -> CocoDataset:
    tool = Path(__file__).resolve().parents[2] / "tools" / "dataset_converters" / "voc_to_coco.py"
    with mock.patch("sys.argv", [str(tool), str(root), split, str(out), *options]):
        runpy.run_path(str(tool), run_name="__main__")
    return CocoDataset(out, data_prefix={"img": f"{root}/JPEGImages"})


def assert_same_records(one, other):
    assert one.metainfo == other.metainfo
    assert len(one) == len(other)
    for i in range(len(one)):
        a, b = one.get_data_info(i), other.get_data_info(i)
        assert a.keys() == b.keys()
        for key, value in a.items():
            np.testing.assert_array_equal(value, b[key], err_msg=key)


def test_record(voc):
    dataset = VocDataset(TRAIN, data_root=voc)
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert (first["img_id"], second["img_id"]) == (1, 2)
    assert first["img_path"] == f"{voc}/JPEGImages/b.png"
    assert dataset.metainfo["classes"] == ("ant", "cat", "dog")  # of every xml file, sorted
    # The first pixel's box is (1, 1, 1, 1) in VOC: (1, 1, 40, 30) is the whole image.
    np.testing.assert_array_equal(second["gt_bboxes"], [[0, 0, 40, 30], [2, 3, 10, 12]])
    np.testing.assert_array_equal(second["gt_bboxes_labels"], [2, 1])
    np.testing.assert_array_equal(second["gt_ignore_flags"], [False, True])
    assert dataset.report == LoadReport(images=2, boxes=2, ignored=1, empty_images=0, dropped={})


def test_edges_are_read_as_they_are(voc):
    dataset = VocDataset(TRAIN, data_root=voc, one_based=False)
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes"], [[1, 1, 40, 30], [3, 4, 10, 12]])


def test_one_pixel(voc, log):
    np.testing.assert_array_equal(VocDataset(VAL, data_root=voc).get_data_info(0)["gt_bboxes"], [[0, 0, 1, 1]])
    dataset = VocDataset(VAL, data_root=voc, one_based=False, test_mode=True)
    assert dataset.report.dropped == {"boxes without width or height": 1}
    assert f"boxes without width or height: object 1 of {voc}/Annotations/c.xml" in log.text


def test_no_box_to_learn(voc):
    message = r"val\.txt: no box to learn in 1 images \(1 boxes without width or height left out\); your classes"
    with pytest.raises(DatasetError, match=message):
        VocDataset(VAL, data_root=voc, one_based=False)


def test_every_split_has_the_same_classes(voc):
    assert VocDataset(TRAIN, data_root=voc).metainfo == VocDataset(VAL, data_root=voc).metainfo


def test_given_classes(voc):
    dataset = VocDataset(TRAIN, data_root=voc, metainfo={"classes": ("dog", "ant")})
    assert dataset.report == LoadReport(2, 1, 0, 1, {})
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes_labels"], [0])


def test_classes_may_cover_more_than_the_files(voc):
    classes = ("yak", "dog", "cat", "ant")
    dataset = VocDataset(TRAIN, data_root=voc, metainfo={"classes": classes})
    assert dataset.metainfo["classes"] == classes
    assert [c["name"] for c in dataset.coco_ground_truth()["categories"]] == list(classes)


def test_misspelled_class(voc):
    with pytest.raises(DatasetError, match=r"train\.txt has no class 'dgo'. Did you mean 'dog'\? Valid: ant, cat, dog"):
        VocDataset(TRAIN, data_root=voc, metainfo={"classes": ("cat", "dgo")})


def test_rename_merges(voc):
    dataset = VocDataset(TRAIN, data_root=voc, rename_classes={"dog": "beast", "cat": "beast"})
    assert dataset.metainfo["classes"] == ("ant", "beast")
    np.testing.assert_array_equal(dataset.get_data_info(1)["gt_bboxes_labels"], [1, 1])


def test_jpg_without_filename(voc):
    path = voc / "Annotations/c.xml"
    path.write_text(path.read_text().replace("<filename>c.png</filename>", ""))
    (voc / "JPEGImages/c.png").unlink()
    assert VocDataset(VAL, data_root=voc).get_data_info(0)["img_path"].endswith("JPEGImages/c.jpg")


def test_ground_truth(voc):
    truth = VocDataset(TRAIN, data_root=voc, metainfo={"classes": ("dog", "cat")}).coco_ground_truth()
    assert truth["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    assert truth["images"][1] == {"id": 2, "file_name": "a.png", "height": 30, "width": 40}
    assert truth["annotations"][1] == {
        "id": 2,
        "image_id": 2,
        "category_id": 1,
        "bbox": [0, 0, 40, 30],
        "area": 1200,
        "iscrowd": 0,
    }
    assert [a["iscrowd"] for a in truth["annotations"]] == [0, 0, 1]


BROKEN = [
    ("<annotation>", "", r"c\.xml is not well-formed XML \(.*\); write it again"),
    ("<size>", "<sise>", r"c\.xml is not well-formed XML"),
    ("<width>40</width>", "", r"c\.xml lacks <width>; add it or remove the <size>"),
    ("<width>40</width>", "<width>0</width>", r"c\.xml has the size 0x30; give the image's width and height in pixels"),
    ("<size><width>40</width><height>30</height><depth>3</depth></size>", "", r"c\.xml lacks <size>; add the image's"),
    ("<name>ant</name>", "", r"object 1 of .*c\.xml lacks <name>; add it or remove the <object>"),
    ("<xmin>1</xmin>", "<xmin>one</xmin>", r"object 1 of .*c\.xml: <xmin> is 'one', not a finite number"),
    ("<xmin>1</xmin>", "<xmin>nan</xmin>", r"object 1 of .*c\.xml: <xmin> is 'nan', not a finite number"),
    ("<xmin>1</xmin>", "<xmin>1e300</xmin>", r"object 1 of .*c\.xml: <xmin> is '1e300', not a finite number of pixels"),
    ("<width>40</width>", "<width>1e12</width>", r"c\.xml: <width> is '1e12', not a finite number of pixels; write"),
    (">0</difficult>", ">maybe</difficult>", r"object 1 of .*c\.xml: <difficult> is 'maybe'; write 0 or 1"),
    ("<ymax>1</ymax>", "", r"object 1 of .*c\.xml lacks <ymax>; add it or remove the <bndbox>"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_broken_xml(voc, old, new, message):
    path = voc / "Annotations/c.xml"
    (voc / "JPEGImages/c.png").unlink()  # from which a size that is missing would be read
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=message) as error:
        VocDataset(VAL, data_root=voc)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"<annotation>\xff</annotation>", b'<?xml version="1.0" encoding="none"?><annotation/>']
)
def test_not_xml(voc, content):
    (voc / "Annotations/c.xml").write_bytes(content)
    with pytest.raises(DatasetError, match=r"c\.xml is not well-formed XML \(.*\); write it again$"):
        VocDataset(VAL, data_root=voc)


def test_folder_in_place_of_xml(voc):
    (voc / "Annotations/c.xml").unlink()
    (voc / "Annotations/c.xml").mkdir()
    with pytest.raises(DatasetError, match=r"c\.xml cannot be read \(it is a folder\); check the file"):
        VocDataset(VAL, data_root=voc)


def test_no_object_anywhere(voc):
    for path in (voc / "Annotations").iterdir():
        path.write_text(re.sub(r"<object>.*</object>", "", path.read_text(), flags=re.DOTALL))
    with pytest.raises(DatasetError, match=r"val\.txt has no class; COCO files list them in"):
        VocDataset(VAL, data_root=voc)


def test_object_without_box(voc):
    path = voc / "Annotations/c.xml"
    path.write_text(re.sub(r"<bndbox>.*</bndbox>", "", path.read_text()))
    with pytest.raises(DatasetError, match=r"object 1 of .*c\.xml lacks <bndbox>; add it or remove the object"):
        VocDataset(VAL, data_root=voc)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", r"val\.txt is empty; write image ids, one a line"),
        (
            "\xe9\n",
            r"val\.txt is no list of image ids in UTF-8; name one with one a line, such as ImageSets/Main/train\.txt",
        ),
        ("c\0\n", r"val\.txt is no list of image ids in UTF-8"),
        ("c\nc\n", r"val\.txt lists 'c' 2 times; leave one"),
        ("z\n", r"Annotations/z\.xml: no such file; check data_prefix\['xml'\], or take the id off the list"),
    ],
)
def test_broken_list(voc, lines, message):
    (voc / VAL).write_text(lines, encoding="latin-1")
    with pytest.raises(DatasetError, match=message):
        VocDataset(VAL, data_root=voc)


def test_missing_list(voc):
    with pytest.raises(DatasetError, match=r"tset\.txt: no such file; check ann_file and data_root"):
        VocDataset("ImageSets/Main/tset.txt", data_root=voc)


@pytest.mark.parametrize(("options", "kwargs"), [((), {}), (("--zero-based",), {"one_based": False})])
def test_converter_gives_the_same_records(voc, tmp_path, options, kwargs):
    converted = convert(voc, TRAIN, tmp_path / "out" / "train.json", *options)
    assert_same_records(converted, VocDataset(TRAIN, data_root=voc, **kwargs))
    content = json.loads((tmp_path / "out" / "train.json").read_text())
    assert [a["difficult"] for a in content["annotations"]] == [0, 0, 1]
    assert content["images"][0]["file_name"] == "b.png"


def test_converter_numbers_the_given_classes(voc, tmp_path):
    converted = convert(voc, TRAIN, tmp_path / "train.json", "--classes", "dog", "cat")
    assert converted.metainfo["classes"] == ("dog", "cat")
    content = json.loads((tmp_path / "train.json").read_text())
    assert [c["id"] for c in content["categories"]] == [1, 2]


@pytest.mark.parametrize(("split", "images"), [("train", 205), ("val", 87), ("test", 72)])
def test_bccd(shared, tmp_path, split, images):
    listed = f"ImageSets/Main/{split}.txt"
    read = VocDataset(listed, data_root=shared / "bccd")
    assert read.report.images == images
    assert read.metainfo["classes"] == ("Platelets", "RBC", "WBC")
    assert_same_records(convert(shared / "bccd", listed, tmp_path / "bccd.json"), read)


def test_voc100_in_both_formats(shared, tmp_path):
    """The json there holds the edges as the xml has them."""
    coco = CocoDataset(shared / "voc100/coco/instances_default.json")
    names = [Path(coco.get_data_info(i)["img_path"]).stem for i in range(len(coco))]
    (tmp_path / "all.txt").write_text("\n".join(names))
    voc = VocDataset(
        str(tmp_path / "all.txt"),
        data_root=shared / "voc100",
        data_prefix={"img": "images", "xml": "voc"},
        metainfo={"classes": coco.metainfo["classes"]},
        one_based=False,
    )
    assert len(voc) == len(coco) == 100
    assert voc.report.boxes + voc.report.ignored == coco.report.boxes == 273
    for i in range(100):
        a, b = voc.get_data_info(i), coco.get_data_info(i)
        rows_a, rows_b = (sorted(np.c_[r["gt_bboxes"], r["gt_bboxes_labels"]].tolist()) for r in (a, b))
        np.testing.assert_allclose(rows_a, rows_b, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "ignored"), [("true", True), (" Yes ", True), ("1.0", True), ("False", False), ("", False), ("no", False)]
)
def test_difficult_in_words(voc, text, ignored):
    path = voc / "Annotations/b.xml"
    path.write_text(path.read_text().replace(">0</difficult>", f">{text}</difficult>"))
    record = VocDataset(TRAIN, data_root=voc, test_mode=True).get_data_info(0)
    assert record["gt_ignore_flags"].tolist() == [ignored]


def test_pipe_in_place_of_xml(voc):
    (voc / "Annotations/c.xml").unlink()
    os.mkfifo(voc / "Annotations/c.xml")
    with pytest.raises(DatasetError, match=r"c\.xml cannot be read \(it is a pipe\); check the file"):
        VocDataset(VAL, data_root=voc)


def test_entities_are_not_expanded_without_end(voc):
    entities = '<!ENTITY a0 "xxxxxxxxxx">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    (voc / "Annotations/c.xml").write_text(f"<!DOCTYPE a [{entities}]><annotation>&a9;</annotation>")
    with pytest.raises(DatasetError, match=r"c\.xml is not well-formed XML \(limit on input amplification.*write it"):
        VocDataset(VAL, data_root=voc)


def test_all_files_of_a_folder(voc, tmp_path):
    dataset = VocDataset("Annotations", data_root=voc)
    assert [os.path.basename(dataset.get_data_info(i)["img_path"]) for i in range(3)] == ["a.png", "b.png", "c.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty is a folder without xml files; set ann_file to one that has"):
        VocDataset("empty", data_root=voc)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<width>40</width>", "<width>0</width>"),
        ("<height>30</height>", ""),
        ("<size><width>40</width><height>30</height><depth>3</depth></size>", ""),
    ],
)
def test_a_size_that_is_missing_is_read_from_the_image(voc, log, old, new):
    path = voc / "Annotations/c.xml"
    path.write_text(path.read_text().replace(old, new))
    dataset = VocDataset(VAL, data_root=voc)
    assert (dataset.get_data_info(0)["height"], dataset.get_data_info(0)["width"]) == (30, 40)
    assert f"val.txt: 1 images have no size in the annotations, which is taken from the image: {path}" in log.text


@pytest.mark.parametrize("name", ["c.jpg", "c.JPG", "c.jpeg", "other.png"])
def test_the_image_that_is_there_is_taken(voc, name):
    """The xml file says c.png, or other.png."""
    (voc / "JPEGImages/c.png").rename(voc / "JPEGImages" / name)
    path = voc / "Annotations/c.xml"
    if name == "other.png":
        path.write_text(path.read_text().replace("<filename>c.png", "<filename>C:\\\\photos\\\\other.png"))
    dataset = VocDataset(VAL, data_root=voc, pipeline=[{"type": "LoadImageFromFile"}])
    assert dataset[0]["img_path"].endswith(f"JPEGImages/{name}")


def test_a_filename_leads_nowhere_else(voc):
    (voc / "JPEGImages/c.png").rename(voc / "c.png")
    path = voc / "Annotations/c.xml"
    path.write_text(path.read_text().replace("<filename>c.png", "<filename>../c.png"))
    assert VocDataset(VAL, data_root=voc).get_data_info(0)["img_path"].endswith("JPEGImages/c.png")
