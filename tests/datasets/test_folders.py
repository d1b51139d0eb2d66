"""What a folder holds: every layout is found and read, and what is none is said in one line."""

import json
import os
import shutil
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


def voc_in_folders_below(root):
    write_images(root / "JPEG Images")
    for folder, names in (("first half", TRAIN), ("zweite Hälfte", VAL)):
        write_voc(root / "xml" / folder, names)


def voc_in_folders_that_the_images_share(root):
    for folder, names in (("day", TRAIN), ("night", VAL)):
        write_images(root / "img" / folder, names)
        write_voc(root / "xml" / folder, names)


def voc_of_parts_in_folders_below(root):
    for folder, names in (("train/x", TRAIN[:1]), ("train/y", TRAIN[1:]), ("val", VAL)):
        write_images(root / folder, names)
        write_voc(root / folder, names)


def voc_beside(root):
    write_images(root)
    write_voc(root)


def voc_of_other_names(root):
    write_images(root / "img")
    write_voc(root / "xml")
    for i, name in enumerate(BOXES):
        (root / f"xml/{name}.xml").rename(root / f"xml/scan{i}.xml")


def coco_of_windows(root):
    write_images(root / "pictures/all")
    write_coco(root / "all.json", prefix="pictures\\all\\")
    (root / "all.json").write_bytes((root / "all.json").read_text().encode("utf-16"))


def coco_without_ids_of_boxes(root):
    coco_beside(root)
    content = json.loads((root / "labels.json").read_text())
    for box in content["annotations"]:
        del box["id"]
    (root / "labels.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())


def yolo_of_another_machine(root):
    yolo_roboflow(root)
    path = root / "data.yaml"
    path.write_text(path.read_text().replace("../", "/content/drive/my set/"))


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
    (voc_in_folders_below, "Pascal VOC", {"all"}),
    (voc_in_folders_that_the_images_share, "Pascal VOC", {"all"}),
    (voc_of_parts_in_folders_below, "Pascal VOC", {"train", "val"}),
    (voc_beside, "Pascal VOC", {"all"}),
    (voc_of_other_names, "Pascal VOC", {"all"}),
    (coco_of_windows, "COCO json", {"all"}),
    (coco_without_ids_of_boxes, "COCO json", {"all"}),
    (yolo_of_another_machine, "YOLO", {"train", "val"}),
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


def test_what_is_not_used_is_named(tmp_path):
    coco_official(tmp_path)
    found = look_at(str(tmp_path))
    assert "; not used: annotations/person_keypoints_train2017.json, " in found.describe({"train": 2, "val": 2})
    csv_one(tmp_path / "csv")
    assert look_at(str(tmp_path / "csv")).others == []
    write_csv(tmp_path / "csv/boxes.csv", TRAIN)
    said = look_at(str(tmp_path / "csv")).describe({"all": 2})
    assert "; not used: 2 images without a row (one with an empty class and box says that there is no object)" in said


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


def no_list_of_boxes(root):
    coco_beside(root)
    content = json.loads((root / "labels.json").read_text())
    del content["annotations"]
    (root / "labels.json").write_text(json.dumps(content))


def boxes_of_other_keys(root):
    coco_beside(root)
    text = (root / "labels.json").read_text()
    (root / "labels.json").write_text(text.replace('"bbox"', '"bndbox"').replace('"annotations"', '"objects"'))


def names_of_elsewhere(root):
    write_images(root / "here")
    write_coco(root / "train.json", prefix="C:\\\\old\\\\")


def yaml_that_is_a_list(root):
    yolo_roboflow(root)
    (root / "data.yaml").write_text("- cat\n- dog\n")


def yaml_that_is_a_folder(root):
    yolo_roboflow(root)
    (root / "data.yaml").unlink()
    (root / "data.yaml").mkdir()


def yaml_that_is_a_pipe(root):
    yolo_roboflow(root)
    (root / "data.yaml").unlink()
    os.mkfifo(root / "data.yaml")


def labels_with_commas(root):
    yolo_roboflow(root)
    for path in root.glob("*/labels/*.txt"):
        path.write_text(path.read_text().replace(" ", ","))


def table_in_latin_1(root):
    csv_one(root)
    path = root / "boxes.csv"
    path.write_bytes(path.read_text().replace("cat", "Kätzchen").encode("latin-1"))


def table_without_a_corner(root):
    csv_one(root)
    path = root / "boxes.csv"
    path.write_text(path.read_text().replace("ymax", "note"))


UNREADABLE = [
    (no_data, r"is no data set that rdet reads: it has 1 images, index\.json \(keys frames, info\); put COCO json"),
    (two_jsons, r"COCO json of one part is there 2 times: labels\.json, more\.json; remove"),
    (images_elsewhere, r"train\.json: none of its 4 images is below .*, such as 'a\.png'; put them there"),
    (xml_without_images, r"Annotations: no image has the name of an xml file, such as a, or of its <filename>; put"),
    (yaml_that_leads_nowhere, r"data\.yaml: there is no train at .*images/train; correct train or path"),
    (no_list_of_boxes, r"labels\.json has no 'annotations', so there is nothing to learn; write its boxes"),
    (boxes_of_other_keys, r"no 'annotations', but 'objects' whose entries lack 'bbox' but have 'bndbox'; call it 'ann"),
    (names_of_elsewhere, r"of its 4 images is below .*'C:.*a\.png' \(but there is 'here/a\.png'\); write the names so"),
    (yaml_that_is_a_list, r"no file names the classes \(\S+/data\.yaml is without 'names'\); write data\.yaml, obj\."),
    (yaml_that_is_a_folder, r"no file names the classes \(\S+/data\.yaml is a folder\); write data\.yaml, obj\.names"),
    (yaml_that_is_a_pipe, r"no file names the classes \(\S+/data\.yaml is no file\); write data\.yaml, obj\.names"),
    (labels_with_commas, r"2 label files cannot be used: line 1 of .* has 1 numbers; .*separated by spaces"),
    (table_in_latin_1, r"boxes\.csv is no text in UTF-8; save it in that encoding"),
    (table_without_a_corner, r"boxes\.csv has no column 'ymax' but 'filename', .*; name it in the first line"),
    (broken_json, r"a\.json is not JSON \(.*\); write it again"),
]  # fmt: skip


def read_first(folder):
    found = look_at(folder)
    return found.read(next(iter(found.splits)))


@pytest.mark.parametrize(("layout", "message"), UNREADABLE, ids=[layout[0].__name__ for layout in UNREADABLE])
def test_unreadable(layout, message, tmp_path):
    layout(tmp_path)
    with pytest.raises(DatasetError, match=message) as error:
        read_first(str(tmp_path))
    assert "\n" not in str(error.value)


def test_no_folder(tmp_path):
    with pytest.raises(MissingFileError, match="nothing is not there; give the folder of a data set"):
        look_at(str(tmp_path / "nothing"))
    (tmp_path / "file").touch()
    with pytest.raises(MissingFileError, match="file is no folder; give the folder of a data set"):
        look_at(str(tmp_path / "file"))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_an_archive(kind, tmp_path):
    coco_beside(tmp_path / "data")
    path = shutil.make_archive(str(tmp_path / "set"), kind, tmp_path / "data")
    with pytest.raises(MissingFileError, match=r"set\.\S+ is an archive; unpack it and give the folder .*'zip:"):
        look_at(path)


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
