"""What annotations, classes and splits look like when something is wrong with them."""

import numpy as np
import pytest

from rdet.datasets import CocoDataset
from rdet.datasets.annotations import Annotations
from rdet.datasets.class_summary import class_table, doubtful_classes
from rdet.datasets.doubts import doubts_about
from rdet.datasets.summary import doubtful_splits

WIDTH, HEIGHT = 400, 200


def annotations(bboxes, names=("a.png",)) -> Annotations:
    bboxes = np.asarray(bboxes, dtype=np.float64)
    count = len(bboxes)
    return Annotations(
        classes=["cat"],
        category_ids=[1],
        images=[{"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(names)],
        box_ids=list(range(count)),
        image_index=np.zeros(count, np.int64),
        class_index=np.zeros(count, np.int64),
        bboxes=bboxes,
        areas=np.ones(count),
        ignored=np.zeros(count, bool),
        entry_name=str,
    )


def right(count=40, seed=0) -> np.ndarray:
    """Boxes x, y, width, height anywhere in the image."""
    corners = np.sort(np.random.default_rng(seed).uniform(0, 1, (count, 2, 2)), axis=1) * (WIDTH, HEIGHT)
    return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)


def corners(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def centres(boxes):
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def sizes_as_corners(boxes):
    """As a reader of corners takes x, y, width and height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("wrong", "doubt"),
    [
        (lambda boxes: boxes, None),
        (lambda boxes: np.add(boxes, (0.9, -0.9, 0, 0)), None),  # rounded
        (lambda boxes: boxes[:5] * 9, None),  # too few to tell
        (corners, "and as corners x1, y1, x2, y2 they would fit"),
        (centres, "and as the centre, width and height they would fit"),
        (sizes_as_corners, "and as a corner x1, y1 with width and height in the other's place they would fit"),
        (lambda boxes: boxes[:, [1, 0, 3, 2]], "and as y, x, height, width they would fit"),
        (lambda boxes: boxes * 3, "are width and height of the images right"),
        (lambda boxes: boxes / (WIDTH, HEIGHT, WIDTH, HEIGHT), "probably fractions of the image"),
        (lambda boxes: boxes[:1] / (WIDTH, HEIGHT, WIDTH, HEIGHT), "probably fractions of the image"),
    ],
)
def test_boxes_that_are_read_otherwise_than_they_were_written(wrong, doubt, seed):
    doubts = list(doubts_about(annotations(wrong(right(seed=seed)))))
    assert [doubt in said for said in doubts] == ([] if doubt is None else [True])


def test_images_that_are_listed_twice():
    (doubt,) = doubts_about(annotations(right(), ["a.png", "b.png", "a.png"]))
    assert doubt.startswith("1 images are listed more than once (a.png)")
    assert list(doubts_about(annotations(np.zeros((0, 4)), ["a.png"]))) == []


def test_a_data_set_says_it(coco, write, caplog, monkeypatch):
    said = []
    monkeypatch.setattr("rdet.datasets.base.print_log", lambda text, *_: said.append(text))
    coco["images"][1]["file_name"] = coco["images"][0]["file_name"]
    CocoDataset(**write(coco))
    assert any("images are listed more than once" in text for text in said)


class Boxes:
    """A data set with some boxes of each class."""

    def __init__(self, counts: dict[str, int], paths=("a.png",)):
        self.metainfo = {"classes": tuple(counts)}
        labels = np.repeat(np.arange(len(counts)), list(counts.values()))
        self.records = [
            {"gt_bboxes_labels": labels[:0], "gt_ignore_flags": labels[:0] > 0, "img_path": path} for path in paths
        ]
        self.records[0] |= {"gt_bboxes_labels": labels, "gt_ignore_flags": np.zeros(len(labels), bool)}

    def __len__(self):
        return len(self.records)

    def get_data_info(self, index):
        return self.records[index]


@pytest.mark.parametrize(
    ("counts", "alike"),
    [
        ({"cat": 900, "dog": 800}, None),
        ({"cat": 900, "Cat ": 500}, ("Cat ", "cat")),
        ({"traffic light": 900, "traffic_lights": 500}, ("traffic_lights", "traffic light")),
        ({"person": 900, "persn": 1, "car": 800}, ("persn", "person")),
        ({"person": 900, "persn": 400, "car": 800}, None),  # as many may well be another thing
        ({"part 1": 900, "part 2": 1}, None),
        ({"cow": 900, "crow": 1, "excavator": 900}, ("crow", "cow")),
        ({"bus": 900, "s": 800}, None),
    ],
)
def test_classes_that_look_alike(counts, alike):
    doubts = list(doubtful_classes({"train": Boxes(counts)}))
    if alike is None:
        assert doubts == []
    else:
        rare, common = alike
        assert [f"the classes {rare!r} ({counts[rare]} boxes) and {common!r}" in said for said in doubts] == [True]


def test_classes_without_a_box():
    splits = {"train": Boxes({"cat": 3, "dog": 0}), "val": Boxes({"cat": 0, "dog": 2})}
    assert list(doubtful_classes(splits)) == [
        "train has no box of dog; such classes cannot be learnt",
        "val has no box of cat; such classes have no AP and count in no mean",
    ]


def test_table_of_classes():
    splits = {"train": Boxes({"cat": 3, "dog": 1}), "val": Boxes({"cat": 0, "dog": 20})}
    assert [line.split() for line in class_table(splits).splitlines() if "|" in line] == [
        ["|", "class", "|", "train", "|", "val", "|"],
        ["|", "cat", "|", "3", "|", "0", "|"],
        ["|", "dog", "|", "1", "|", "20", "|"],
    ]
    many = class_table({"train": Boxes({f"class {i}": i for i in range(80)})})
    assert "12 of 80, those with the fewest boxes" in many
    assert "class 11 " in many
    assert "class 12 " not in many


def test_images_of_two_splits():
    first, second = Boxes({"cat": 1}, ["a.png", "b.png"]), Boxes({"cat": 1}, ["./b.png", "c.png"])
    (doubt,) = doubtful_splits({"train": first, "val": second})
    assert doubt.startswith("train and val share 1 images: ")
    assert list(doubtful_splits({"train": first, "val": Boxes({"cat": 1}, ["c.png"])})) == []
    assert list(doubtful_splits({"train": first})) == []
