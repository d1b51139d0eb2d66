"""What a folder holds: every layout is found and read, and what is none is said in one line."""

import os
from collections import Counter

import pytest
from made_sets import BOXES, CLASSES, write_coco, write_csv, write_images, write_voc, write_yolo

from rdet.datasets.folders import look_at
from rdet.datasets.folders.listing import Listing, split_of
from rdet.errors import DatasetError, MissingFileError

TRAIN, VAL = ("a", "d"), ("b", "c")


def coco_beside(root):
    write_images(root)
    write_coco(root / "labels.json")


def coco_roboflow(root):
    for folder, names in (("train", TRAIN), ("valid", VAL)):
        write_images(root / folder, names)
        write_coco(root / folder / "_annotations.coco.json", names)


def coco_official(root):
    for split, names in (("train2017", TRAIN), ("val2017", VAL)):
        write_images(root / split, names)
        write_coco(root / f"annotations/instances_{split}.json", names)
        write_coco(root / f"annotations/person_keypoints_{split}.json", names)


def coco_beside_the_folder_of_another_part(root):
    for split, names in (("val", VAL), ("train", TRAIN)):
        write_images(root / split, BOXES)  # the parts call their images alike
        write_coco(root / f"annotations/{split}.json", names)


def coco_with_paths(root):
    write_images(root / "data/images")
    write_coco(root / "all.json", prefix="images/")


def yolo_roboflow(root):
    for folder, names in (("train", TRAIN), ("valid", VAL)):
        write_images(root / folder / "images", names)
        write_yolo(root / folder / "labels", names)
    (root / "data.yaml").write_text(
        f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: {list(CLASSES)}\n"
    )


def yolo_folders(root):
    for split, names in (("train", TRAIN), ("val", VAL)):
        write_images(root / "images" / split, names)
        write_yolo(root / "labels" / split, names)
    (root / "classes.txt").write_text("\n".join(CLASSES))


def yolo_plain(root):
    write_images(root / "images")
    write_yolo(root / "labels")
    (root / "labels/classes.txt").write_text("\n".join(CLASSES))


def yolo_darknet(root):
    write_images(root / "obj")
    write_yolo(root / "obj")
    (root / "obj.names").write_text("\n".join(CLASSES))
    for split, names in (("train", TRAIN), ("val", VAL)):
        (root / f"{split}.txt").write_text("".join(f"data/obj/{name}.png\n" for name in names))


def yolo_labels_apart(root):
    write_images(root / "pictures")
    write_yolo(root / "yolo")
    (root / "classes.names").write_text("\n".join(CLASSES))
    (root / "a.txt").write_text("a note on a\n")


def yolo_labels_apart_in_parts(root):
    for split, names in (("train", TRAIN), ("val", VAL)):
        write_images(root / f"pictures/{split}", names)
        write_yolo(root / f"boxes/{split}", names)
    (root / "classes.txt").write_text("\n".join(CLASSES))


def voc_official(root):
    write_images(root / "JPEGImages")
    write_voc(root / "Annotations")
    (root / "ImageSets/Main").mkdir(parents=True)
    for split, names in (("train", TRAIN), ("val", VAL), ("trainval", BOXES)):
        (root / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (root / "ImageSets/Main/cat_train.txt").write_text("a 1\nd -1\n")


def voc_kaggle(root):
    write_images(root / "images")
    write_voc(root / "annotations")


def voc_roboflow(root):
    for folder, names in (("train", TRAIN), ("valid", VAL)):
        write_images(root / folder, names)
        write_voc(root / folder, names)


def csv_one(root):
    write_images(root / "images")
    write_csv(root / "boxes.csv")


def csv_raccoon(root):
    write_images(root / "images")
    for split, names in (("train", TRAIN), ("val", VAL)):
        write_csv(root / f"data/{split}_labels.csv", names)


LAYOUTS = [
    (coco_beside, "COCO json", {"all"}),
    (coco_roboflow, "COCO json", {"train", "val"}),
    (coco_official, "COCO json", {"train", "val"}),
    (coco_beside_the_folder_of_another_part, "COCO json", {"train", "val"}),
    (coco_with_paths, "COCO json", {"all"}),
    (yolo_roboflow, "YOLO", {"train", "val"}),
    (yolo_folders, "YOLO", {"train", "val"}),
    (yolo_plain, "YOLO", {"all"}),
    (yolo_darknet, "YOLO", {"train", "val"}),
    (yolo_labels_apart, "YOLO", {"all"}),
    (yolo_labels_apart_in_parts, "YOLO", {"train", "val"}),
    (voc_official, "Pascal VOC", {"train", "val"}),
    (voc_kaggle, "Pascal VOC", {"all"}),
    (voc_roboflow, "Pascal VOC", {"train", "val"}),
    (csv_one, "a csv table", {"all"}),
    (csv_raccoon, "a csv table", {"train", "val"}),
]


def content(dataset) -> dict:
    """Every image's boxes with the names of their classes."""
    found = {}
    for record in map(dataset.get_data_info, range(len(dataset))):
        assert os.path.isfile(record["img_path"])
        boxes = zip(record["gt_bboxes_labels"], record["gt_bboxes"].tolist(), strict=True)
        names = dataset.metainfo["classes"]
        found[os.path.basename(record["img_path"])] = Counter((names[c], *(round(v, 3) for v in b)) for c, b in boxes)
    return found


@pytest.mark.parametrize(("layout", "kind", "splits"), LAYOUTS, ids=[layout[0].__name__ for layout in LAYOUTS])
def test_layout(layout, kind, splits, tmp_path):
    layout(tmp_path)
    found = look_at(str(tmp_path))
    assert (found.kind, set(found.splits)) == (kind, splits)
    parts = {split: content(found.read(split)) for split in splits}
    for split, other in (("train", "val"), ("val", "train")):
        folders = found.splits.get(split, {}).get("data_prefix", {}).values()
        assert not any(other in folder for folder in folders)
    expected = {"all": tuple(BOXES), "train": TRAIN, "val": VAL}
    for split, images in parts.items():
        assert images == {
            f"{name}.png": Counter((CLASSES[c], *map(float, box)) for c, *box in BOXES[name])
            for name in expected[split]
        }
    line = found.describe({split: len(images) for split, images in parts.items()})
    assert line.startswith(f"{tmp_path}: {kind}: {next(iter(found.splits))} ")
    assert "\n" not in line


def test_of_several_formats_the_first_is_taken_or_the_one_that_is_asked_for(tmp_path):
    voc_kaggle(tmp_path)
    write_csv(tmp_path / "boxes.csv")
    assert look_at(str(tmp_path)).kind == "Pascal VOC"
    assert look_at(str(tmp_path), "csv").kind == "a csv table"
    with pytest.raises(DatasetError, match="is no data set in the format coco: it has 4 images, boxes.csv "):
        look_at(str(tmp_path), "coco")


def test_a_file_that_is_not_used_is_named(tmp_path):
    coco_official(tmp_path)
    found = look_at(str(tmp_path))
    assert "; not used: annotations/person_keypoints_train2017.json, " in found.describe({"train": 2, "val": 2})


def no_data(root):
    (root / "a.png").write_bytes(b"")
    (root / "index.json").write_text('{"frames": [], "info": 1}')


def two_jsons(root):
    coco_beside(root)
    write_coco(root / "more.json")


def images_elsewhere(root):
    write_coco(root / "train.json")


def xml_without_images(root):
    write_voc(root / "Annotations")


def yaml_that_leads_nowhere(root):
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")


def broken_json(root):
    (root / "a.json").write_text('{"images": [], "annotations": [], "categories": [')


UNREADABLE = [
    (no_data, r"is no data set that rdet reads: it has 1 images, index\.json \(keys frames, info\); put COCO json"),
    (two_jsons, r"COCO json of one part is there 2 times: labels\.json, more\.json; remove"),
    (images_elsewhere, r"train\.json: none of its 4 images is below .*, such as 'a\.png'; put them there"),
    (xml_without_images, r"Annotations: no image has the name of an xml file, such as a; put the images below"),
    (yaml_that_leads_nowhere, r"data\.yaml: there is no train at .*images/train; correct train or path"),
    (broken_json, r"a\.json is not JSON \(.*\); write it again"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "message"), UNREADABLE, ids=[layout[0].__name__ for layout in UNREADABLE])
def test_unreadable(layout, message, tmp_path):
    layout(tmp_path)
    with pytest.raises(DatasetError, match=message) as error:
        look_at(str(tmp_path))
    assert "\n" not in str(error.value)


def test_no_folder(tmp_path):
    with pytest.raises(MissingFileError, match="nothing is not there; give the folder of a data set"):
        look_at(str(tmp_path / "nothing"))
    (tmp_path / "file").touch()
    with pytest.raises(MissingFileError, match="file is no folder; give the folder of a data set"):
        look_at(str(tmp_path / "file"))


def test_links_in_a_circle(tmp_path):
    coco_beside(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(Listing(str(tmp_path)).images) == 4


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("test_labels.csv", "test"),
        ("my_training_data/validation.json", "val"),
        ("constrained/latest.json", None),
    ],
)
def test_split_of(path, split):
    assert split_of(path) == split
