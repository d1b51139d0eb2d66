import json

import numpy as np
import pytest

from rdet.evaluation.coco_results import check_images, from_labels, write_results


def test_corners_become_sizes_and_labels_category_ids():
    rows = np.array([[1, 2, 4, 8, 0.5, 1], [0, 0, 3, 3, 0.25, 0]])
    assert from_labels(rows, [18, 3], 0).tolist() == [[1, 2, 3, 6, 0.5, 3], [0, 0, 3, 3, 0.25, 18]]
    assert rows[0].tolist() == [1, 2, 4, 8, 0.5, 1]  # the caller's array stays


def test_label_without_a_category_is_an_error():
    with pytest.raises(ValueError, match="image 'a' has a detection of label 2, but the ground truth has 2 classes"):
        from_labels(np.array([[0, 0, 1, 1, 0.5, 2]]), [18, 3], "a")


def test_results_file(tmp_path):
    path = tmp_path / "new" / "r.bbox.json"
    write_results(path, ["b", "a"], {"a": np.array([[1, 2, 3, 4, 0.5, 18]]), "b": np.zeros((0, 6))})
    assert json.loads(path.read_text()) == [
        {"image_id": "a", "category_id": 18, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5}
    ]


@pytest.mark.parametrize(
    ("evaluated", "message"),
    [
        ([0, 1, 2, 12, 12], r"1 images were evaluated more than once, image 12 2 times; .*round_up=False"),
        ([0], r"3 of 4 images were not evaluated: 1, 2, 12"),
        ([0, 1, 2, 12, 5, "x"], r"2 evaluated images are not in the ground truth: 5, 'x'"),
    ],
)
def test_each_image_exactly_once(evaluated, message):
    with pytest.raises(ValueError, match=message):
        check_images(evaluated, [0, 1, 2, 12])
    check_images([12, 2, 1, 0], [0, 1, 2, 12])
