import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rdet.evaluation import coco_eval
from rdet.evaluation.coco_eval import evaluate_coco, resolve_backend

COCOAPI100 = Path(__file__).parents[3] / "shared/data/cocoapi100"
needs_hotcoco = pytest.mark.skipif(importlib.util.find_spec("hotcoco") is None, reason="hotcoco is not installed")
BACKENDS = ["pycocotools", pytest.param("hotcoco", marks=needs_hotcoco)]


def random_case(seed, images=40, classes=4):
    """A ground truth with crowds, empty images, an unused class and odd ids, and detections of equal scores."""
    rng = np.random.default_rng(seed)
    image_ids = rng.permutation(1000)[:images].tolist()
    category_ids = rng.permutation(90)[: classes + 1].tolist()
    annotations, results = [], []
    for image_id in image_ids:
        for _ in range(rng.integers(0, 7)):
            x, y, w, h = (*rng.uniform(0, 200, 2), *rng.uniform(5, 150, 2))
            category = int(rng.choice(category_ids[:classes]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h * rng.uniform(0.4, 1),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
            for _ in range(rng.integers(0, 4)):
                box = np.array([x, y, w, h]) * rng.uniform(0.85, 1.15, 4)
                score = round(rng.random(), 1)
                found = category if rng.random() < 0.8 else int(rng.choice(category_ids))
                results.append({"image_id": image_id, "category_id": found, "bbox": box.tolist(), "score": score})
    truth = {
        "images": [{"id": id_, "width": 400, "height": 400} for id_ in image_ids],
        "annotations": annotations,
        "categories": [{"id": id_, "name": f"class {id_}"} for id_ in category_ids],
    }
    return truth, results


def pycocotools_says(truth, results):
    """The numbers by pycocotools' own documented steps."""
    api = COCO()
    api.dataset = json.loads(json.dumps({"info": {}, **truth}))
    api.createIndex()
    evaluator = COCOeval(api, api.loadRes(json.loads(json.dumps(results))), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    by_id = {id_: precision[:, :, k] for k, id_ in enumerate(evaluator.params.catIds)}
    class_ap = {c["name"]: by_id[c["id"]].mean() if by_id[c["id"]].max() > -1 else np.nan for c in truth["categories"]}
    return evaluator.stats, class_ap


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(4))
def test_equals_pycocotools(backend, seed):
    truth, results = random_case(seed)
    stats, class_ap = pycocotools_says(truth, results)
    scores = evaluate_coco(truth, results, backend)
    np.testing.assert_allclose(scores.stats, stats, rtol=0, atol=1e-9)
    assert list(scores.class_ap) == list(class_ap)
    np.testing.assert_allclose(list(scores.class_ap.values()), list(class_ap.values()), rtol=0, atol=1e-9)
    assert 0.05 < scores.stats[0] < 0.95
    assert scores.backend == backend


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.skipif(not COCOAPI100.exists(), reason="the shared data is absent")
def test_known_coco_case(backend, capfd):
    truth = json.loads((COCOAPI100 / "instances_val2014_100.json").read_text())
    results = json.loads((COCOAPI100 / "instances_val2014_fakebbox100_results.json").read_text())
    scores = evaluate_coco(truth, results, backend)
    np.testing.assert_allclose(scores.stats[:3], [0.5045806987, 0.6969727247, 0.5729816670], rtol=0, atol=5e-11)
    first = scores.summary().splitlines()[0]
    assert first == "Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505"
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_and_string_ids_score_as_dicts_do(backend):
    truth, results = random_case(5)
    expected = evaluate_coco(truth, results, backend).stats
    # Zero-padded, so that strings sort as their numbers do and ties fall the same way.
    truth["images"] = [{"id": f"{image['id']:06d}"} for image in truth["images"]]
    for annotation in truth["annotations"]:
        annotation["image_id"] = f"{annotation['image_id']:06d}"
    arrays = {image["id"]: np.zeros((0, 6)) for image in truth["images"]}
    for r in results:
        row = [*r["bbox"], r["score"], r["category_id"]]
        arrays[f"{r['image_id']:06d}"] = np.vstack([arrays[f"{r['image_id']:06d}"], row])
    assert evaluate_coco(truth, arrays, backend).stats.tolist() == expected.tolist()
    backwards = dict(reversed(arrays.items()))
    assert evaluate_coco(truth, backwards, backend).stats.tolist() == expected.tolist()


def one_box(**annotation):
    return {
        "images": [{"id": 0}, {"id": 1}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [10, 10, 40, 40], **annotation}],
        "categories": [{"id": 0, "name": "cell"}, {"id": 7, "name": "dust"}],
    }


HIT = [{"image_id": 0, "category_id": 0, "bbox": [10, 10, 40, 40], "score": 0.9}]
PERFECT_MEDIUM = [1, 1, 1, -1, 1, -1, 1, 1, 1, -1, 1, -1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("annotation", "results", "stats"),
    [
        pytest.param({}, HIT, PERFECT_MEDIUM, id="ids from 0, neither area nor iscrowd nor info"),
        pytest.param({"area": 100}, HIT, [1, 1, 1, 1, -1, -1, 1, 1, 1, 1, -1, -1], id="area is the mask's"),
        pytest.param({}, [], [0, 0, 0, -1, 0, -1, 0, 0, 0, -1, 0, -1], id="no detections"),
        pytest.param({"iscrowd": 1}, HIT, [-1] * 12, id="only a crowd"),
        pytest.param({"image_id": 99}, HIT, [-1] * 12, id="annotation of an unlisted image"),
        pytest.param({"category_id": 99}, HIT, [-1] * 12, id="annotation of an unlisted category"),
    ],
)
def test_edge_cases(backend, annotation, results, stats):
    assert evaluate_coco(one_box(**annotation), results, backend).stats == pytest.approx(stats, abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_class_without_ground_truth_is_na_and_does_not_count(backend):
    false_alarm = [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "score": 1.0}]
    scores = evaluate_coco(one_box(), HIT + false_alarm, backend)
    assert scores.class_ap["cell"] == pytest.approx(1, abs=1e-12)
    assert np.isnan(scores.class_ap["dust"])
    assert scores.metrics()["bbox_mAP"] == pytest.approx(1, abs=1e-12)
    assert scores.class_table().splitlines()[3] == "| cell  | 1.000 | dust  | n/a |"


def test_metric_keys_are_in_the_order_of_stats():
    scores = coco_eval.CocoScores(np.arange(12) / 10, {}, "pycocotools")
    assert list(scores.metrics().items())[:8] == [
        ("bbox_mAP", 0.0),
        ("bbox_mAP_50", 0.1),
        ("bbox_mAP_75", 0.2),
        ("bbox_mAP_s", 0.3),
        ("bbox_mAP_m", 0.4),
        ("bbox_mAP_l", 0.5),
        ("bbox_AR@1", 0.6),
        ("bbox_AR@10", 0.7),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 3}, "1 images of the results are not in the ground truth: 3"),
        ({"category_id": 3}, "category 3 of a detection in image 0 is not in the ground truth, whose .* are 0, 7"),
        ({"score": float("nan")}, "image 0 has a detection whose box or score is not finite"),
    ],
)
def test_mismatch_is_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_coco(one_box(), [HIT[0] | change], "pycocotools")


def test_two_categories_of_one_name_are_an_error():
    truth = one_box()
    truth["categories"][1]["name"] = "cell"
    with pytest.raises(ValueError, match="two categories have the same name"):
        evaluate_coco(truth, HIT, "pycocotools")


def test_backend_is_hotcoco_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(coco_eval.importlib.util, "find_spec", lambda name: object())
    assert resolve_backend("auto") == "hotcoco"
    monkeypatch.setattr(coco_eval.importlib.util, "find_spec", lambda name: None)
    assert resolve_backend("auto") == "pycocotools"
    with pytest.raises(ImportError, match="pip install hotcoco"):
        resolve_backend("hotcoco")
    with pytest.raises(ValueError, match="valid: auto, pycocotools, hotcoco"):
        resolve_backend("numpy")
