"""YoloDataset: all layouts, classes, labels, and what it says of faults."""

import os

import numpy as np
import pytest
from PIL import Image

from rdet.datasets import BadImageError, CocoDataset, DatasetError, LoadReport, YoloDataset
from rdet.errors import ConfigError

LABELS = {"a": "1 0.5 0.5 0.5 0.2\n0 0 0 0.5 0 0.25 1\n", "b": "", "c": None}


@pytest.fixture
def yolo(tmp_path):
    """Root of a set of three images, 40 wide and 30 high: two boxes, an empty label file, none."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for stem, text in LABELS.items():
        Image.new("RGB", (40, 30)).save(tmp_path / f"images/{stem}.png")
        if text is not None:
            (tmp_path / f"labels/{stem}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnc: 2\nnames: [cat, no]\n")
    return tmp_path


def test_record(yolo, log):
    dataset = YoloDataset("data.yaml", split="train", data_root=yolo)
    assert dataset.metainfo["classes"] == ("cat", "no")  # which is no boolean
    record = dataset.get_data_info(0)
    assert (record["img_id"], record["img_path"], record["height"], record["width"]) == (
        1,
        f"{yolo}/images/a.png",
        30,
        40,
    )
    np.testing.assert_allclose(record["gt_bboxes"], [[10, 12, 30, 18], [0, 0, 20, 30]], atol=1e-5)
    np.testing.assert_array_equal(record["gt_bboxes_labels"], [1, 0])  # a polygon is the box around it
    assert dataset.report == LoadReport(images=3, boxes=2, ignored=0, empty_images=2, dropped={})
    assert f"data.yaml: 1 of 3 images have no label file and count as background: {yolo}/labels/c.txt" in log.text


def _same(yolo, ann_file, **options):
    dataset = YoloDataset(ann_file, data_root=yolo, **options)
    expected = YoloDataset("data.yaml", split="train", data_root=yolo)
    assert dataset.metainfo == expected.metainfo
    for one, other in zip(map(dataset.get_data_info, range(3)), map(expected.get_data_info, range(3)), strict=True):
        np.testing.assert_array_equal(one["gt_bboxes"], other["gt_bboxes"])
    return dataset


@pytest.mark.parametrize(
    ("ann_file", "lines"),
    [
        ("images", None),
        ("", None),
        ("train.txt", "images/{}.png"),
        ("train.txt", "./images/{}.png"),
        ("train.txt", "images\\{}.png"),
        ("lists/train.txt", "images/{}.png"),
        ("lists/train.txt", "../images/{}.png"),
        ("train.txt", "data/images/{}.png"),
    ],
)
def test_folders_and_lists(yolo, ann_file, lines):
    if lines:
        (yolo / "lists").mkdir()
        (yolo / ann_file).write_text("".join(f"{lines.format(stem)}\n" for stem in "abc"))
    dataset = _same(yolo, ann_file)
    assert [os.path.normpath(dataset.get_data_info(i)["img_path"]) for i in range(3)] == [
        f"{yolo}/images/{stem}.png" for stem in "abc"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "path: /not/here\ntrain: images\nnames:\n  1: no\n  0: cat\n",
        "path: .\ntrain: [images]\nnames: [cat, no]\n",
        "train: ../images\nnames: [cat, no]\n",
        "train: train.txt\nnames: [cat, no]\n",
        "\ufefftrain: ./images/\nnames: ['cat', \"no\"]\n",
    ],
)
def test_data_yaml(yolo, text):
    (yolo / "train.txt").write_text("images/a.png\nimages/b.png\nimages/c.png\n")
    (yolo / "other.yml").write_text(text)
    _same(yolo, "other.yml", split="train")


def test_roboflows_layout(yolo):
    (yolo / "train").mkdir()
    (yolo / "images").rename(yolo / "train/images")
    (yolo / "labels").rename(yolo / "train/labels")
    (yolo / "data.yaml").write_text("train: ../train/images\nnames: [cat, no]\n")
    assert YoloDataset("data.yaml", split="train", data_root=yolo).report.boxes == 2


def test_labels_beside_the_images(yolo):
    for path in (yolo / "labels").iterdir():
        path.rename(yolo / "images" / path.name)
    (yolo / "labels").rmdir()
    assert YoloDataset("images", data_root=yolo).report.boxes == 2


@pytest.mark.parametrize("place", ["obj.names", "classes.txt", "labels/classes.txt"])
def test_names_in_a_list(yolo, place):
    (yolo / "data.yaml").unlink()
    (yolo / place).write_text("cat\nno\n\n")
    assert YoloDataset("images", data_root=yolo).metainfo["classes"] == ("cat", "no")


def test_class_file(yolo):
    (yolo / "names.lst").write_text("ant\nbee\n")
    assert YoloDataset("images", data_root=yolo, class_file="names.lst").metainfo["classes"] == ("ant", "bee")


def test_turned_image(yolo):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40)).save(yolo / "images/a.jpg", exif=exif)  # is shown 40 wide
    (yolo / "images/a.png").unlink()
    dataset = YoloDataset("images", data_root=yolo, pipeline=[{"type": "LoadImageFromFile"}])
    np.testing.assert_allclose(dataset[0]["gt_bboxes"], [[10, 12, 30, 18], [0, 0, 20, 30]], atol=1e-5)
    assert dataset[0]["img"].shape == (30, 40, 3)


BAD_LINES = [
    ("2 0.5 0.5 0.1 0.1", r"line 2 of .*a\.txt has the class '2', but there are 2 class names; write a number"),
    ("0.5 0.5 0.5 0.1 0.1", r"has the class '0\.5', but"),
    ("cat 0.5 0.5 0.1 0.1", r"has the class 'cat', but"),
    ("0 20 15 8 6", r"line 2 of .*a\.txt has '20', which is no fraction of the image; write pixels divided"),
    ("0 nan 0.5 0.1 0.1", r"has 'nan', which is no fraction"),
    ("0 0.5 0.5 0.1", r"line 2 of .*a\.txt has 4 numbers; write class, x, y, width and height, separated"),
    ("0 0.5 0.5 0.1 0.1 0.9", r"has 6 numbers; write"),
    ("0,0.5,0.5,0.1,0.1", r"has 1 numbers; write"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_line(yolo, line, message):
    (yolo / "labels/a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DatasetError, match=message) as error:
        YoloDataset("images", data_root=yolo)
    assert "\n" not in str(error.value)


def test_box_without_area_and_box_beyond_the_edge(yolo, log):
    (yolo / "labels/a.txt").write_text("0 0.5 0.5 0 0.1\n0 1 1 0.5 0.5\n")
    dataset = YoloDataset("images", data_root=yolo)
    assert dataset.report == LoadReport(3, 1, 0, 2, {"boxes without width or height": 1}, clipped=1)
    assert f"line 1 of {yolo}/labels/a.txt" in log.text


BAD_YAML = [
    ("names: [cat", r"data\.yaml is not YAML \(.*\); write it again$"),
    ("train: images", r"data\.yaml has no 'names'; give YOLO's data\.yaml"),
    ("names: [cat, dog]\nnc: 3", r"data\.yaml: nc is '3', but there are 2 names; correct one of them"),
    ("names: {0: cat, 2: dog}", r"data\.yaml: names has the keys 0, 2; write 0 to 1, each once"),
    ("names: {0: cat, 0: dog}", r"data\.yaml is not YAML \(a key is there more than once"),
    ("names: cat", r"data\.yaml: names is 'cat'; write a list"),
    ("names: [cat, '']", r"data\.yaml: class 1 has the name ''; write a text"),
    ("names: [cat]\nval: images", r"data\.yaml has val, and split is 'train'; set split to one that it has"),
    ("names: [cat]\ntrain: imgs", r"data\.yaml: there is no train at .*imgs; correct train or path"),
    ("names: [cat, dog]\ntrain: labels", r"data\.yaml: no image in .*labels; name another folder"),
    ("names: [cat, dog]\ntrain: [images, images]", r"data\.yaml has 'images/a\.png' more than once; leave one"),
]


@pytest.mark.parametrize(("text", "message"), BAD_YAML)
def test_bad_yaml(yolo, text, message):
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=message):
        YoloDataset("data.yaml", split="train", data_root=yolo)


def test_yaml_runs_nothing(yolo):
    (yolo / "data.yaml").write_text("train: images\nnames: !!python/object/apply:os.mkdir [ran]\n")
    with pytest.raises(DatasetError):
        YoloDataset("data.yaml", split="train", data_root=yolo)
    assert not os.path.exists("ran")


def test_a_path_that_leads_out(yolo):
    (yolo.parent / "secret.png").write_bytes(b"")
    (yolo / "train.txt").write_text("../secret.png\n")
    with pytest.raises(DatasetError, match="1 of 1 files lie outside of the data set's folder"):
        YoloDataset("train.txt", data_root=yolo)


def test_no_names(yolo):
    (yolo / "data.yaml").unlink()
    with pytest.raises(
        DatasetError, match=r"no file names the classes; write data\.yaml, obj\.names or classes\.txt in"
    ):
        YoloDataset("images", data_root=yolo)


def test_two_files_of_names(yolo):
    (yolo / "other.yaml").write_text("names: [a, b]\n")
    with pytest.raises(DatasetError, match=r"has data\.yaml, other\.yaml; set class_file to one of them"):
        YoloDataset("images", data_root=yolo)


def test_no_label_file_at_all(yolo):
    (yolo / "labels/a.txt").unlink()
    (yolo / "labels/b.txt").unlink()
    with pytest.raises(
        DatasetError, match=r"none of 3 images has a label file, such as .*labels/a\.txt; put them there"
    ):
        YoloDataset("images", data_root=yolo)
    assert YoloDataset("images", data_root=yolo, test_mode=True).report.empty_images == 3


def test_images_missing_or_damaged(yolo):
    (yolo / "train.txt").write_text("images/a.png\nimages/z.png\n")
    with pytest.raises(BadImageError, match=r"train\.txt: 1 of 2 image files are missing: .*z\.png; check data_root"):
        YoloDataset("train.txt", data_root=yolo)
    (yolo / "images/z.png").write_bytes(b"no image")
    with pytest.raises(BadImageError, match=r"z\.png: not an image that OpenCV can decode \(8 bytes\); mend it"):
        YoloDataset("train.txt", data_root=yolo)
    dataset = YoloDataset("train.txt", data_root=yolo, on_bad_image="skip")
    assert dataset.report == LoadReport(1, 2, 0, 0, {"images unreadable": 1})


def test_split_without_yaml(yolo):
    with pytest.raises(ConfigError, match="split is 'train', but images is no data.yaml; leave split out"):
        YoloDataset("images", split="train", data_root=yolo)


def test_voc100_in_both_formats(shared, tmp_path):
    """The text files are rounded to six digits."""
    names = [path.name for path in sorted((shared / "voc100/images").iterdir())]
    (tmp_path / "images").symlink_to(shared / "voc100/images")
    (tmp_path / "labels").symlink_to(shared / "voc100/yolo/obj_train_data")
    (tmp_path / "obj.names").symlink_to(shared / "voc100/yolo/obj.names")
    yolo = YoloDataset("images", data_root=tmp_path)
    coco = CocoDataset(shared / "voc100/coco/instances_default.json")
    ours = {os.path.basename(r["img_path"]): r for r in map(yolo.get_data_info, range(100))}
    theirs = {os.path.basename(r["img_path"]): r for r in map(coco.get_data_info, range(100))}
    assert sorted(ours) == sorted(theirs) == names
    assert yolo.metainfo == coco.metainfo
    for name in names:
        a, b = (sorted(np.c_[r["gt_bboxes_labels"], r["gt_bboxes"]].tolist()) for r in (ours[name], theirs[name]))
        np.testing.assert_allclose(a, b, atol=1e-3)
