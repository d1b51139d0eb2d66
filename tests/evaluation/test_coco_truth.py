"""Ground truth from a file is checked before anything is scored."""

import json
import os
import re

import pytest

from rdet.errors import DatasetError
from rdet.evaluation.coco_eval import evaluate_coco
from rdet.evaluation.coco_truth import read_truth


@pytest.fixture
def truth():
    return {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 3, "bbox": [5, 5, 10, 20], "area": 200, "iscrowd": 0},
        ],
    }


FOUND = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.9}]


@pytest.mark.parametrize("area", [-100, float("inf"), float("nan"), None, 10**400, "none"])
@pytest.mark.parametrize("through_file", [False, True])
def test_no_area_drops_a_box(tmp_path, truth, area, through_file):
    expected = evaluate_coco(truth, FOUND).stats
    truth["annotations"][1]["area"] = area
    if area == "none":
        del truth["annotations"][1]["area"]
    if through_file:
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        truth = read_truth(str(tmp_path / "truth.json"))
    assert evaluate_coco(truth, FOUND).stats.tolist() == expected.tolist()


def test_ids_may_be_strings(tmp_path, truth):
    truth["images"] = [{"id": "a"}, {"id": "b"}]
    truth["annotations"][0]["image_id"], truth["annotations"][1]["image_id"] = "a", "b"
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert [a["image_id"] for a in read_truth(str(tmp_path / "truth.json"))["annotations"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("categories"), "truth.json has no 'categories'; give a COCO file"),
        (lambda t: t["images"][1].update(id="b"), "truth.json: images[1] has the id 'b'; use a whole number"),
        (lambda t: t["images"][1].update(id=1), "images[0] and images[1] have the same id 1; renumber them"),
        (lambda t: t["annotations"][0].update(image_id=[1]), "annotation 1 refers to the image [1], which the file"),
        (lambda t: t["annotations"][0].update(bbox=[1]), "annotation 1 has the bbox [1]; it must be four finite"),
        (lambda t: t["annotations"][0].pop("category_id"), "annotations[0] lacks 'category_id'; add it or drop"),
        *(
            (lambda t, odd=odd: t["annotations"].insert(0, odd), "annotations[0] is no object but ")
            for odd in (7, [], "a")
        ),
    ],
)
def test_broken_truth(tmp_path, truth, spoil, message):
    spoil(truth)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_truth(str(tmp_path / "truth.json"))


def test_pipe_in_place_of_truth(tmp_path):
    os.mkfifo(tmp_path / "truth.json")
    with pytest.raises(
        DatasetError, match=r"truth\.json cannot be read \(it is a pipe\); check ann_file of CocoMetric"
    ):
        read_truth(str(tmp_path / "truth.json"))
