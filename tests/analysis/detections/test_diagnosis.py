"""Analyses of detections against pycocotools, and against a count by hand."""

import numpy as np
import pytest
from made_results import made_results, made_truth, write

from rdet.analysis.detections.comparison import compare_detections
from rdet.analysis.detections.curves import score_curves
from rdet.analysis.detections.diagnosis import diagnose
from rdet.analysis.detections.evaluated import Evaluated
from rdet.analysis.detections.images import image_results, most_different, worst
from rdet.analysis.detections.mistakes import calibration, confusion, tide_errors
from rdet.analysis.detections.results import read_detections
from rdet.analysis.detections.truth import Truth
from rdet.evaluation import evaluate_coco

pytest.importorskip("hotcoco")


def evaluated(truth: dict, results: list[dict], folder, **options) -> Evaluated:
    known = Truth(truth, {}, "truth.json")
    return Evaluated("made", known, read_detections(write(folder, made=results)["made"], known), **options)


@pytest.fixture
def made(tmp_path):
    truth = made_truth()
    results = made_results(truth)
    return truth, results, evaluated(truth, results, tmp_path)


@pytest.mark.parametrize("max_dets", [100, 11])
def test_numbers_equal_pycocotools(tmp_path, max_dets):
    truth = made_truth(images=20, seed=5)
    results = made_results(truth)
    found = diagnose(evaluated(truth, results, tmp_path, max_dets=max_dets))
    scores = evaluate_coco(truth, results, backend="pycocotools", max_dets=max_dets)
    known = np.where(scores.stats < 0, np.nan, scores.stats)
    np.testing.assert_allclose(list(found.evaluated.metrics.values()), known, rtol=0, atol=1e-9)
    np.testing.assert_allclose([row.ap for row in found.classes], list(scores.class_ap.values()), rtol=0, atol=1e-9)
    np.testing.assert_allclose([row.ap for row in found.sizes], known[3:6], rtol=0, atol=1e-9)
    assert sum(row.objects for row in found.sizes) == sum(row.objects for row in found.classes)


def test_a_group_of_crowding_is_the_ap_of_its_images_alone(made):
    truth, results, one = made
    group = diagnose(one).crowding[1]
    counts = {i["id"]: 0 for i in truth["images"]}
    for a in truth["annotations"]:
        counts[a["image_id"]] += not a["iscrowd"]
    low, _, high = group.name.partition("–")
    inside = {i for i, n in counts.items() if int(low) <= n <= int(high or low)}
    part = {
        **truth,
        "images": [i for i in truth["images"] if i["id"] in inside],
        "annotations": [a for a in truth["annotations"] if a["image_id"] in inside],
    }
    alone = evaluate_coco(part, [r for r in results if r["image_id"] in inside], backend="pycocotools")
    assert group.images == len(inside)
    assert group.ap == pytest.approx(alone.metrics()["bbox_mAP"], abs=1e-9)


def test_curves_equal_counting_anew_at_each_threshold(made):
    _, _, one = made
    curves = score_curves(one, steps=21)
    for at, threshold in enumerate(curves.thresholds):
        kept = (one.scores >= threshold) & ~np.isnan(one.correct)
        for label in range(4):
            mine = kept & (one.labels == label)
            right, found, objects = one.correct[mine].sum(), mine.sum(), one.objects[label]
            assert curves.recall[label, at] == pytest.approx(right / objects)
            assert curves.f1[label, at] == pytest.approx(2 * right / (found + objects))
            assert np.isnan(curves.precision[label, at]) if not found else True
    best = curves.best()
    assert best.f1 == curves.mean_f1.max()
    assert best.threshold == curves.thresholds[curves.mean_f1.argmax()]


def test_the_images_of_a_threshold_add_up_to_its_recall(made):
    _, _, one = made
    threshold = 0.4
    images = image_results(one, threshold)
    kept = (one.scores >= threshold) & ~np.isnan(one.correct)
    assert sum(image.right for image in images.values()) == one.correct[kept].sum()
    assert sum(image.false for image in images.values()) == (1 - one.correct[kept]).sum()
    assert sum(image.right + image.missed for image in images.values()) == one.objects.sum()
    order = worst(images, 100)
    assert [image.f1 for image in order] == sorted(image.f1 for image in order)
    assert all(image.mistakes for image in order)


BOX, NEAR, FAR = [10, 10, 40, 40], [11, 10, 40, 40], [200, 150, 40, 40]


@pytest.mark.parametrize(
    ("kind", "wrong", "mended"),
    [
        ("Loc", [(1, [30, 10, 40, 40], 0.9)], [(1, BOX, 0.9)]),
        ("Cls", [(2, BOX, 0.9)], [(1, BOX, 0.9)]),
        (
            "Dupe",
            [(1, BOX, 0.9), (1, [11, 10, 40, 40], 0.95), (1, FAR, 0.5)],
            [(1, [11, 10, 40, 40], 0.95), (1, FAR, 0.5)],
        ),
        ("Bkg", [(1, [100, 100, 20, 20], 0.9), (1, BOX, 0.8)], [(1, BOX, 0.8)]),
        ("Both", [(2, [30, 10, 40, 40], 0.9), (1, BOX, 0.8)], [(1, BOX, 0.8)]),
    ],
)
def test_a_kind_of_mistake_costs_what_mending_it_adds(kind, wrong, mended, tmp_path):
    truth = {
        "images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "b"}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": BOX},
            {"image_id": 1, "category_id": 1, "bbox": FAR},
            {"image_id": 2, "category_id": 2, "bbox": BOX},
        ],
    }

    def results(rows):
        rows = [*((1, *row) for row in rows), (2, 2, BOX, 0.7)]
        return [{"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in rows]

    found = tide_errors(evaluated(truth, results(wrong), tmp_path))
    before, after = (
        evaluate_coco(truth, results(rows), backend="pycocotools").metrics()["bbox_mAP_50"] for rows in (wrong, mended)
    )
    assert found.counts[kind] == 1
    assert found.ap50 == pytest.approx(before, abs=1e-9)
    assert found.cost[kind] == pytest.approx(after - before, abs=1e-9)


def test_confusion_counts_every_object_and_every_detection_once(made):
    _, _, one = made
    found = confusion(one, 0.3)
    assert found.counts[:-1].sum() >= one.objects.sum()
    pairs = found.most(3)
    assert [times for *_, times in pairs] == sorted((times for *_, times in pairs), reverse=True)
    assert all(found.counts[found.classes.index(a), found.classes.index(b)] == times for a, b, times in pairs)


def test_calibration_is_the_weighted_distance_of_score_and_share(made):
    _, _, one = made
    found = calibration(one)
    distances = np.abs(found.scores - found.shares)
    assert found.counts.sum() == (~np.isnan(one.correct)).sum()
    assert found.ece == pytest.approx(np.nansum(distances * found.counts) / found.counts.sum(), abs=1e-9)


def test_scores_beyond_1_are_not_calibrated_but_have_a_best_threshold(made, tmp_path):
    truth, results, one = made
    logits = [{**result, "score": 10 * result["score"] - 5} for result in results]
    found = diagnose(evaluated(truth, logits, tmp_path))
    assert found.calibration is None
    assert found.evaluated.metrics == pytest.approx(one.metrics, nan_ok=True)
    assert found.best.f1 == pytest.approx(diagnose(one).best.f1, abs=0.02)


@pytest.mark.parametrize("without", ["detections", "objects"])
def test_nothing_found_and_nothing_to_find(without, tmp_path):
    truth = made_truth()
    results = [] if without == "detections" else made_results(truth)
    truth = {**truth, "annotations": []} if without == "objects" else truth
    found = diagnose(evaluated(truth, results, tmp_path))
    assert found.evaluated.metrics["AP"] == 0 if without == "detections" else np.isnan(found.evaluated.metrics["AP"])
    assert found.to_dict()["metrics"]["AP"] == (0 if without == "detections" else None)
    assert found.tide.counts["Miss"] == found.evaluated.objects.sum()


def test_a_comparison_says_which_of_two_is_better_and_how_sure_that_is(made, tmp_path):
    truth, _, one = made
    better = evaluated(truth, made_results(truth, noise=0.5), tmp_path)
    found = compare_detections(one, better, samples=50)
    ap = found.metrics["AP"]
    assert ap.difference == better.metrics["AP"] - one.metrics["AP"] > 0
    assert ap.interval[0] < ap.difference < ap.interval[1]
    assert ap.better > 0.9
    assert found.classes["cell"][2] == pytest.approx(found.classes["cell"][1] - found.classes["cell"][0])
    same = compare_detections(one, one, samples=20)
    assert all(number.difference == 0 or np.isnan(number.difference) for number in same.metrics.values())
    assert same.metrics["AP"].interval == (0, 0)
    images = image_results(one, 0.4)
    assert most_different(images, images, 5) == []
    others = image_results(better, 0.4)
    order = most_different(images, others, 100)
    changes = [abs(images[i].f1 - others[i].f1) for i in order]
    assert changes == sorted(changes, reverse=True)
