"""What annotations may get wrong, by one set of rules for all readers, and what is said of what they may not."""

import json
import re

import numpy as np
import pytest
from made_sets import BOXES, CLASSES, HEADER, write_coco, write_csv, write_images, write_voc, write_yolo

from rdet.datasets import CocoDataset, CsvDataset, VocDataset, YoloDataset
from rdet.datasets.folders import look_at
from rdet.datasets.listed import ids_of, names_as_known
from rdet.datasets.on_disk import images_called_otherwise, near
from rdet.errors import BadImageError, DatasetError
from rdet.evaluation.coco_truth import read_truth
from rdet.faults import Faults

LOAD = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]


def coco(root):
    write_coco(root / "boxes.json")
    return CocoDataset, {"ann_file": "boxes.json"}


def voc(root):
    write_voc(root / "xml")
    return VocDataset, {"ann_file": "xml", "data_prefix": {"img": "", "xml": "xml"}}


def yolo(root):
    write_yolo(root)
    (root / "train.txt").write_text("\n".join(f"{name}.png" for name in BOXES))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return YoloDataset, {"ann_file": "train.txt"}


def table(root):
    write_csv(root / "boxes.csv")
    return CsvDataset, {"ann_file": "boxes.csv"}


READERS = [coco, voc, yolo, table]


def read(made, root, **more):
    kind, kwargs = made
    return kind(**{**kwargs, **more}, data_root=str(root), pipeline=LOAD)


@pytest.mark.parametrize("reader", READERS)
def test_images_with_another_ending_are_found_and_said(reader, tmp_path, log):
    write_images(tmp_path, suffix=".JPG")
    dataset = read(reader(tmp_path), tmp_path)
    assert sorted(dataset[i]["data_samples"].img_path[-5:] for i in range(4)) == [f"{name}.JPG" for name in BOXES]
    assert ("4 images are called otherwise on the disk: a.png is a.JPG, " in log.text) == (reader is not voc)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_image_is_named_with_what_is_near(reader, tmp_path):
    write_images(tmp_path, ["a", "b", "c"])
    write_images(tmp_path, ["dd"])
    with pytest.raises(BadImageError, match=r"1 of 4 image files are missing: \S+d\.(png|jpg) \(but there is \S+/dd"):
        read(reader(tmp_path), tmp_path)


@pytest.mark.parametrize("reader", [coco, voc, table])
@pytest.mark.parametrize("size", ["0", ""])
def test_sizes_that_are_not_stated_are_read_from_the_images(reader, size, tmp_path, log):
    write_images(tmp_path)
    made = reader(tmp_path)
    for path in [*tmp_path.glob("boxes.*"), *tmp_path.glob("xml/*.xml")]:
        text = path.read_text()
        text = text.replace("<width>40</width>", f"<width>{size}</width>").replace(".png,40,30,", f".png,{size},30,")
        text = text.replace('"width": 40, ', '"width": 0, ' if size else "")
        path.write_text(text)
    dataset = read(made, tmp_path)
    assert {(dataset.get_data_info(i)["width"], dataset.get_data_info(i)["height"]) for i in range(4)} == {(40, 30)}
    assert len(re.findall("4 images have no size in the annotations, which is taken from the image", log.text)) == 1
    dataset.coco_ground_truth()
    assert log.text.count("have no size") == 1


def test_all_xml_files_that_cannot_be_used_are_in_one_message(tmp_path):
    names = [f"n{i:02}" for i in range(33)]
    (tmp_path / "xml").mkdir()
    for i, name in enumerate(names):
        (tmp_path / f"xml/{name}.xml").write_text("<annotation>" if i < 32 else "<annotation/>")
    with pytest.raises(DatasetError) as error:
        VocDataset("xml", data_root=tmp_path, data_prefix={"img": "", "xml": "xml"})
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/xml: 32 of 33 xml files cannot be used: {tmp_path}/xml/n00.xml is not well-")
    assert message.endswith("; write it again")
    assert all(f"{name}.xml" in message for name in names[:32])
    assert "\n" not in message


def test_all_label_files_and_rows_that_cannot_be_used_are_in_one_message(tmp_path):
    write_images(tmp_path)
    made = yolo(tmp_path)
    for name, line in (("a", "7 0.5 0.5 0.1 0.1"), ("b", "0 320 0.5 0.1 0.1"), ("d", "0 0.5")):
        (tmp_path / f"{name}.txt").write_text(line)
    with pytest.raises(
        DatasetError, match=r"train\.txt: 3 of 4 label files cannot be used: line 1 of \S+a\.txt has the"
    ):
        read(made, tmp_path)
    (tmp_path / "rows.csv").write_text(f"{HEADER}\na.png,40,30,cat,1,2\nb.png,40,30,,1,2,3,4\nc.png,40,30,,,,,\n")
    with pytest.raises(DatasetError) as error:
        CsvDataset("rows.csv", data_root=tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/rows.csv: 2 of 3 rows cannot be used: line 2 of {tmp_path}/rows.csv has 6 values, but there are "
        f"8 columns; line 3 of {tmp_path}/rows.csv has no class; correct it, or name it, or empty the box too"
    )


def test_faults():
    faults = Faults("x", "files")
    faults.raise_any()
    with faults.of("a"):
        raise DatasetError("a is bad; mend it")
    with faults.of("b"):
        pass
    with pytest.raises(DatasetError, match="^a is bad; mend it$"):
        faults.raise_any()
    with faults.of("c"):
        raise DatasetError("no remedy")
    assert len(faults) == 2
    with pytest.raises(
        DatasetError, match="^x: 2 of 3 files cannot be used: a is bad; no remedy; mend it, or no remedy$"
    ):
        faults.raise_any()
    with pytest.raises(ZeroDivisionError), faults.of("d"):
        raise ZeroDivisionError  # a bug stays one


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a.png\nb.jpg\n", 0),
        ("JPEGImages/a.png\n./xml/b.xml\n", 0),
        ("images\\a.png\nb\n", 0),
        ("a  1\nb 1\n", 0),
        ("a  1\nb -1\n", 1),
    ],
)
def test_lists_of_ids(lines, said, tmp_path, log):
    write_images(tmp_path)
    made = voc(tmp_path)
    (tmp_path / "list.txt").write_text(lines)
    dataset = read(made, tmp_path, ann_file="list.txt")
    assert [dataset.get_data_info(i)["img_path"] for i in range(2)] == [f"{tmp_path}/{name}.png" for name in "ab"]
    dataset.coco_ground_truth()
    assert log.text.count("list.txt lists 1 images with -1, as without its class; they are read like the") == said


def test_an_id_that_is_there_as_it_is_written_means_that(tmp_path):
    write_images(tmp_path, ["a", "a.png", "a 1"])
    made = voc(tmp_path)
    for name in ("a.png", "a 1"):
        (tmp_path / f"xml/{name}.xml").write_text((tmp_path / "xml/b.xml").read_text().replace("b.png", ""))
    (tmp_path / "list.txt").write_text("a.png\na 1\n")
    dataset = read(made, tmp_path, ann_file="list.txt")
    assert [dataset.get_data_info(i)["img_path"] for i in range(2)] == [f"{tmp_path}/{n}.png" for n in ("a.png", "a 1")]
    (tmp_path / "list.txt").write_text("b.png\nb\n")
    with pytest.raises(DatasetError, match=r"list\.txt lists 'b' 2 times; leave one"):
        read(made, tmp_path, ann_file="list.txt")
    (tmp_path / "list.txt").write_text("bb\n")
    with pytest.raises(DatasetError, match=r"bb\.xml: no such file \(but there is \S+/b\.xml"):
        read(made, tmp_path, ann_file="list.txt")


def test_ids_without_anything_to_find():
    assert ids_of([], lambda ids: set(ids)) == ([], [])
    assert ids_of(["../a.png"], lambda ids: {"a"} & {*ids}) == (["../a.png"], [])


@pytest.mark.parametrize("reader", READERS)
def test_a_list_of_images_may_leave_folders_and_endings_out(reader, tmp_path):
    write_images(tmp_path)
    (tmp_path / "only.txt").write_text("b\nimages/d.png\n")
    dataset = read(reader(tmp_path), tmp_path, image_list="only.txt")
    assert sorted(dataset.get_data_info(i)["img_path"][-5] for i in range(len(dataset))) == ["b", "d"]


def test_names_as_known():
    known = ["x/a.jpg", "y/a.jpg", "x/b.jpg", "c", "c.png"]
    assert names_as_known(["b", "b.png", "z/b", "a", "x/a", "c", "c.png", "q"], known) == {
        "b": "x/b.jpg",
        "b.png": "x/b.jpg",
        "z/b": "x/b.jpg",
        "x/a": "x/a.jpg",
        "c.png": "c.png",
    }  # the others could be two, or none


def test_images_called_otherwise(tmp_path):
    write_images(tmp_path / "in", ["a", "IMG_1", "two"])
    write_images(tmp_path / "in", ["two"], suffix=".bmp")
    (tmp_path / "in/dir.png").mkdir()
    asked = {name: str(tmp_path / "in" / name) for name in ("a", "a.jpg", "img_1.jpg", "two.jpg", "dir.jpg", "no.png")}
    found = images_called_otherwise(asked.values())
    assert {name: found[path].rpartition("/")[2] for name, path in asked.items() if path in found} == {
        "a": "a.png",
        "a.jpg": "a.png",
        "img_1.jpg": "IMG_1.png",
    }
    backwards = f"{tmp_path}/in\\a.png"
    assert images_called_otherwise([backwards]) == {backwards: f"{tmp_path}/in/a.png"}
    assert images_called_otherwise([f"{tmp_path}/in\\..\\in\\a.png"]) == {}


def test_what_is_near(tmp_path):
    write_images(tmp_path / "annotations", ["frame_17"])
    (tmp_path / "train.json").touch()
    assert near(f"{tmp_path}/annotation/x/frame_17.png") == f" (but there is {tmp_path}/annotations)"
    assert near(f"{tmp_path}/annotations/frame17.png") == f" (but there is {tmp_path}/annotations/frame_17.png)"
    assert near(f"{tmp_path}/annotations/frame_18.png") == ""  # another one
    with pytest.raises(
        DatasetError, match=r"trian\.json: no such file \(but there is \S+/train\.json\); check ann_file"
    ):
        CocoDataset("trian.json", data_root=tmp_path)


def with_keys(path, **names):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({names.get(key, key): value for key, value in content.items()}))


def test_lists_of_a_coco_file_are_told_by_their_entries(tmp_path, log):
    write_images(tmp_path)
    made = coco(tmp_path)
    expected = read(made, tmp_path)
    truth = read_truth(str(tmp_path / "boxes.json"))
    with_keys(tmp_path / "boxes.json", images="frames", annotations="labels", categories="names")
    dataset = read(made, tmp_path)
    for i in range(4):
        np.testing.assert_array_equal(dataset.get_data_info(i)["gt_bboxes"], expected.get_data_info(i)["gt_bboxes"])
    assert "'frames' is taken for 'images', 'names' is taken for 'categories', 'labels' is taken for" in log.text
    assert read_truth(str(tmp_path / "boxes.json")) == truth
    assert look_at(str(tmp_path)).kind == "COCO json"
    # Without the alias a test would find no truth, and say nothing.
    assert read(made, tmp_path, test_mode=True).report.boxes == 5


@pytest.mark.parametrize("test_mode", [False, True])
def test_a_list_that_is_not_told_is_named(test_mode, tmp_path):
    write_images(tmp_path)
    made = coco(tmp_path)
    path = tmp_path / "boxes.json"
    path.write_text(path.read_text().replace('"bbox"', '"box"'))
    with_keys(path, annotations="annotation")
    with pytest.raises(
        DatasetError, match=r"no 'annotations', but 'annotation' whose entries lack 'bbox' but have 'box'; call it"
    ):
        read(made, tmp_path, test_mode=test_mode)
    with_keys(path, annotation="annotations")
    with pytest.raises(DatasetError, match=r"5 of 5 annotations .*\[0\] lacks 'bbox', but has 'box'; .*call it 'bbox'"):
        read(made, tmp_path, test_mode=test_mode)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["annotations"][1].update(bbox=[1, 2, 3]),
        lambda c: c["annotations"][1].update(image_id=77),
        lambda c: c["annotations"][1].update(category_id=77),
        lambda c: c["annotations"][1].update(iscrowd="0"),
        lambda c: c["annotations"][1].update(area="big"),
        lambda c: c["annotations"][1].pop("bbox"),
        lambda c: c["categories"][1].update(name=7),
        lambda c: c["images"][1].update(id=1),
        lambda c: c.pop("images"),
    ],
)
def test_reader_and_evaluator_say_the_same(spoil, tmp_path):
    made = coco(tmp_path)
    content = json.loads((tmp_path / "boxes.json").read_text())
    spoil(content)
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    said = []
    for reading in (lambda: read(made, tmp_path), lambda: read_truth(str(tmp_path / "boxes.json"))):
        with pytest.raises(DatasetError) as error:
            reading()
        said.append(str(error.value))
    assert said[0] == said[1]


def spoil_many(coco):
    for box in coco["annotations"][:2]:
        box["bbox"] = box["bbox"][:3]
    coco["annotations"][2]["category_id"] = 9
    coco["annotations"][3] |= {"image_id": "4", "iscrowd": 7}
    del coco["annotations"][4]["bbox"]


@pytest.mark.parametrize("read_file", [read_truth, lambda path: CocoDataset(path)])
def test_all_that_is_wrong_in_a_coco_file_is_said_at_once(read_file, tmp_path):
    write_coco(tmp_path / "boxes.json")
    content = json.loads((tmp_path / "boxes.json").read_text())
    spoil_many(content)
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError) as error:
        read_file(str(tmp_path / "boxes.json"))
    assert str(error.value) == (
        f"{tmp_path}/boxes.json: 5 of 5 annotations cannot be used: annotations[4] lacks 'bbox'; "
        "annotation 1 has the bbox [1, 2, 10]; annotation 2 has the bbox [20, 10, 20], and others in annotation 4, "
        "annotation 3; add it or drop the entry, or it must be four finite numbers of at most 2147483648: x, y, width, "
        "height"
    )
    for table, key, message in (
        ("images", "id", "3 of 4 images cannot be used: images[1] has the id 'b'; images[2] has the id 'c'"),
        ("categories", "name", "2 of 2 categories cannot be used: category 1 has the name 7; category 2 has the name"),
    ):
        write_coco(tmp_path / "boxes.json")
        content = json.loads((tmp_path / "boxes.json").read_text())
        for row, value in zip(content[table][-3:], ("b", "c", "d") if key == "id" else (7, None), strict=True):
            row[key] = value
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        with pytest.raises(DatasetError, match=re.escape(message)):
            read_file(str(tmp_path / "boxes.json"))


def test_an_id_that_is_a_text_elsewhere_is_named(tmp_path):
    write_coco(tmp_path / "boxes.json")
    text = (tmp_path / "boxes.json").read_text().replace('"category_id": 1', '"category_id": "1"')
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(DatasetError, match=r"refers to the category '1', which the file does not have \(but 1\)"):
        CocoDataset(str(tmp_path / "boxes.json"))
