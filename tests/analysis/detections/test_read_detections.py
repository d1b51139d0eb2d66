"""Results of anyone: which formats are read, and what is said of those that cannot be."""

import numpy as np
import pytest
from made_results import made_results, made_truth, write

from rdet.analysis.detections.results import read_detections
from rdet.analysis.detections.truth import Truth, truth_of_file
from rdet.errors import EvaluationError, MissingFileError, NonFiniteDetectionError, ResultsError


@pytest.fixture
def truth() -> Truth:
    return Truth(made_truth(), {}, "truth.json")


def test_a_list_of_results_gives_rows_in_the_numbers_of_the_truth(truth, tmp_path):
    results = made_results(truth.content)
    found = read_detections(write(tmp_path, r=results)["r"], truth)
    assert found.notes == ()
    assert len(found.rows) == len(results)
    first = results[0]
    same = found.rows[found.rows[:, 0] == truth.image_numbers[first["image_id"]]]
    assert [*first["bbox"], first["score"], truth.category_numbers[first["category_id"]]] in same[:, 1:].tolist()


def test_what_rdet_infer_writes_is_found_by_names_of_files_and_classes(truth, tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "elsewhere/2.png"}],
        "categories": [{"id": 1, "name": "Тромбоцит"}, {"id": 2, "name": "unheard of"}],
        "annotations": [{"image_id": 1, "category_id": c, "bbox": [1, 2, 3, 4], "score": 0.5} for c in (1, 2)],
    }
    found = read_detections(write(tmp_path, r=content)["r"], truth)
    assert found.rows.tolist() == [[3, 1, 2, 3, 4, 0.5, 4]]
    assert found.notes == ("Left out: 1 of 2 detections, of which the truth has no category_id: 'None'.",)


def test_a_mask_alone_gives_the_box_around_it(truth, tmp_path):
    from pycocotools import mask

    pixels = np.zeros((240, 320), np.uint8, order="F")
    pixels[20:50, 10:30] = 1
    rle = mask.encode(pixels)
    entry = {"image_id": 3, "category_id": 10, "score": 1}
    masks = ({**rle, "counts": rle["counts"].decode()}, [[10, 20, 30, 20, 30, 50]])
    found = read_detections(write(tmp_path, r=[{**entry, "segmentation": m} for m in masks])["r"], truth)
    assert found.rows[:, 1:5].tolist() == [[10, 20, 20, 30]] * 2
    assert found.notes[0].startswith("Masks are not evaluated")


def test_unknown_images_and_classes_are_left_out_and_said(truth, tmp_path):
    results = made_results(truth.content)
    strange = [{**results[0], "category_id": 77}, {**results[0], "image_id": 99}, {**results[0], "image_id": [1]}]
    found = read_detections(write(tmp_path, r=[*results, *strange])["r"], truth)
    assert len(found.rows) == len(results)
    count = len(results) + 3
    assert found.notes == (
        f"Left out: 2 of {count} detections, of which the truth has no image_id: '99', '[1]'.",
        f"Left out: 1 of {count} detections, of which the truth has no category_id: '77'.",
    )


def test_no_detections_are_no_error(truth, tmp_path):
    assert read_detections(write(tmp_path, r=[])["r"], truth).rows.shape == (0, 7)


GOOD = {"image_id": 3, "category_id": 10, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("text", ResultsError, "r.json is no list of detections but 'text'; give a COCO results file"),
        ([3], ResultsError, r"r.json: results\[0\] is no object but 3"),
        ([{"image_id": 3}], ResultsError, r"results\[0\] lacks 'score'"),
        ([GOOD, {**GOOD, "score": "0.5"}], ResultsError, r"results\[1\] has the score '0.5'; it must be a number"),
        ([{**GOOD, "score": float("nan")}], NonFiniteDetectionError, r"results\[0\] has the score nan"),
        ([{**GOOD, "bbox": [0, 0, float("nan"), 1]}], ResultsError, r"results\[0\] has the bbox \[0, 0, nan, 1\]"),
        (
            [{**GOOD, "image_id": 4}],
            EvaluationError,
            "none of its images is in the truth, truth.json: 4; give",
        ),
        ([{**GOOD, "category_id": 1}], EvaluationError, "none of its categories is in the truth, .* 10, 20, 30, 40;"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(content, kind, said, truth, tmp_path):
    with pytest.raises(kind, match=said) as error:
        read_detections(write(tmp_path, r=content)["r"], truth)
    assert "\n" not in str(error.value)


def test_truth_without_images_classes_or_folder(tmp_path):
    paths = write(tmp_path, none={"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]})
    with pytest.raises(EvaluationError, match="none.json has no images"):
        truth_of_file(paths["none"])
    with pytest.raises(MissingFileError, match="--images .*: there is no such folder"):
        truth_of_file(paths["none"], tmp_path / "nowhere")
