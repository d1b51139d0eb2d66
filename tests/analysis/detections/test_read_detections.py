"""Results of anyone: which formats are read, and what is said of those that cannot be."""

import numpy as np
import pytest
from made_results import made_results, made_truth, write

from rdet.analysis.detections.results import read_detections
from rdet.analysis.detections.truth import Truth, truth_of_file
from rdet.errors import EvaluationError, MissingFileError, NonFiniteDetectionError, ResultsError

GOOD = {"image_id": 3, "category_id": 10, "bbox": [1, 2, 3, 4], "score": 0.5}
NO_BOX = {key: value for key, value in GOOD.items() if key != "bbox"}
DICT = {"images": [{"id": 1, "file_name": "2.png"}], "categories": [{"id": 1, "name": "Тромбоцит"}], "annotations": []}


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
    assert found.notes == ("Left out: 1 of 2 detections, of which the truth has no category: 'unheard of'.",)


def test_names_that_several_images_have_find_none(truth, tmp_path):
    """Detections of another image would else be counted for this one."""
    for first in (truth.content["images"][0]["file_name"], "x/2.png"):
        content = {
            "images": [
                {"id": 1, "file_name": "a/2.png"},
                {"id": 2, "file_name": "b/2.png"},
                {"id": 3, "file_name": first},
            ],
            "categories": [{"id": 1, "name": "Тромбоцит"}],
            "annotations": [{"image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5} for i in (1, 2, 3)],
        }
        path = write(tmp_path, r=content)["r"]
        if first == "x/2.png":
            with pytest.raises(
                EvaluationError, match="none of its images is in the truth, .*: 'a/2.png', 'b/2.png', 'x/"
            ):
                read_detections(path, truth)
        else:
            assert read_detections(path, truth).rows.shape == (1, 7)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"image_id": 3.0, "category_id": 10.0}, ()),
        ({"image_id": "17"}, ("Read the image_id '17' as 17, as the truth has it.",)),
        ({"category_id": "Тромбоцит"}, ("Read the category_id 'Тромбоцит' as 40, as the truth has it.",)),
        ({"image_id": "2.png"}, ("Read the image_id '2.png' as 17, as the truth has it.",)),
    ],
)
def test_ids_may_be_written_otherwise(change, note, truth, tmp_path):
    found = read_detections(write(tmp_path, r=[{**GOOD, **change}])["r"], truth)
    assert (len(found.rows), found.notes) == (1, note)


def test_what_could_be_two_ids_or_is_none_is_left_out(truth, tmp_path):
    # "3" is the id of the image 0.png and the name of another; True is 1 in Python alone.
    rows = [GOOD, {**GOOD, "image_id": "3"}, {**GOOD, "image_id": True}, {**GOOD, "image_id": 4}]
    found = read_detections(write(tmp_path, r=rows)["r"], truth)
    assert found.notes == ("Left out: 3 of 4 detections, of which the truth has no image: '3', True, 4.",)


def test_a_mask_alone_gives_the_box_around_it(truth, tmp_path):
    from pycocotools import mask

    pixels = np.zeros((240, 320), np.uint8, order="F")
    pixels[20:50, 10:30] = 1
    rle = mask.encode(pixels)
    entry = {"image_id": 3, "category_id": 10, "score": 1}
    runs = {
        "size": [240, 320],
        "counts": [10 * 240 + 20, *[30, 210] * 19, 30, 320 * 240 - 10 * 240 - 20 - 19 * 240 - 30],
    }
    masks = ({**rle, "counts": rle["counts"].decode()}, [[10, 20, 30, 20, 30, 50]], runs)
    found = read_detections(write(tmp_path, r=[{**entry, "segmentation": m} for m in masks])["r"], truth)
    assert found.rows[:, 1:5].tolist() == [[10, 20, 20, 30]] * 3
    assert found.notes[0].startswith("Masks are not evaluated")


def test_unknown_images_and_classes_are_left_out_and_said(truth, tmp_path):
    results = made_results(truth.content)
    strange = [{**results[0], "category_id": 77}, {**results[0], "image_id": 99}, {**results[0], "image_id": [1]}]
    found = read_detections(write(tmp_path, r=[*results, *strange])["r"], truth)
    assert len(found.rows) == len(results)
    count = len(results) + 3
    assert found.notes == (
        f"Left out: 2 of {count} detections, of which the truth has no image: 99, [1].",
        f"Left out: 1 of {count} detections, of which the truth has no category: 77.",
    )


def test_no_detections_are_no_error(truth, tmp_path):
    assert read_detections(write(tmp_path, r=[])["r"], truth).rows.shape == (0, 7)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("text", ResultsError, "r.json is no list of detections but 'text'; give a COCO results file"),
        ([3], ResultsError, r"r.json: results\[0\] is no object but 3"),
        ([{"image_id": 3}], ResultsError, r"results\[0\] lacks 'score'"),
        ([GOOD, {**GOOD, "score": "0.5"}], ResultsError, r"results\[1\] has the score '0.5'; it must be a number"),
        ([{**GOOD, "score": float("nan")}], NonFiniteDetectionError, r"results\[0\] has the score nan"),
        ([{**GOOD, "bbox": [0, 0, float("nan"), 1]}], ResultsError, r"results\[0\] has the bbox \[0, 0, nan, 1\]"),
        ([NO_BOX], ResultsError, r"results\[0\] lacks 'bbox'; add it"),
        *(
            (
                [{**NO_BOX, "segmentation": mask}],
                ResultsError,
                r"results\[0\] has no bbox, and its segmentation .*; give it",
            )
            for mask in (
                [[]],
                [[1, 2, 3]],
                [[1, "x"]],
                "x",
                {"size": [9, 9]},
                {"size": [9, 9], "counts": "0Z3"},
                {"counts": "1"},
            )
        ),
        ({**DICT, "images": [{"id": 1}]}, ResultsError, r"images\[0\] lacks 'file_name'"),
        (
            {**DICT, "images": [{"id": 1, "file_name": [1]}]},
            ResultsError,
            r"images\[0\] has the file_name \[1\]; it must",
        ),
        ({**DICT, "images": [{"id": [1], "file_name": "a"}]}, ResultsError, r"images\[0\] has the id \[1\]; use"),
        ({**DICT, "categories": [{"id": 1}]}, ResultsError, r"categories\[0\] lacks 'name'"),
        ({**DICT, "annotations": [{"image_id": 1}]}, ResultsError, r"annotations\[0\] lacks 'category_id'"),
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
