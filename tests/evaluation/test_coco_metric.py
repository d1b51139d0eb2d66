import json
import logging

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData

from rdet.errors import ConfigError
from rdet.evaluation.coco_eval import evaluate_coco
from rdet.evaluation.coco_metric import CocoMetric
from rdet.processes import _sendable
from rdet.registry import METRICS
from rdet.structures import DetDataSample

CLASSES = ("cell", "dust", "fibre")
CATEGORY_IDS = (18, 3, 7)


class Dataset:
    """A data set with an odd number of images, its ids in no order."""

    def __init__(self, images=21):
        rng = np.random.default_rng(0)
        self.ids = rng.permutation(500)[:images].tolist()
        self.annotations = [
            {"image_id": id_, "category_id": CATEGORY_IDS[rng.integers(3)], "bbox": [*rng.uniform(0, 90, 2), 40, 50]}
            for id_ in self.ids
            for _ in range(rng.integers(0, 5))
        ]

    def coco_ground_truth(self):
        return {
            "images": [{"id": id_} for id_ in self.ids],
            "annotations": self.annotations,
            "categories": [{"id": id_, "name": name} for id_, name in zip(CATEGORY_IDS, CLASSES, strict=True)],
        }

    def samples(self):
        """One sample an image: shifted ground truth boxes with many equal scores."""
        rng = np.random.default_rng(1)
        samples = []
        for id_ in self.ids:
            truth = [a for a in self.annotations if a["image_id"] == id_]
            boxes = np.array([a["bbox"] for a in truth]).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            boxes += rng.normal(0, 4, boxes.shape)
            labels = [CATEGORY_IDS.index(a["category_id"]) if rng.random() < 0.8 else 0 for a in truth]
            scores = rng.integers(1, 4, len(truth)) / 4
            pred = InstanceData(
                bboxes=torch.tensor(boxes, dtype=torch.float32),
                scores=torch.tensor(scores, dtype=torch.float32),
                labels=torch.tensor(labels, dtype=torch.int64),
            )
            sample = DetDataSample(metainfo={"img_id": id_})
            sample.pred_instances = pred
            samples.append(sample)
        return samples


def run(metric, samples, dataset=None, classes=CLASSES):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {"classes": classes}
    if dataset is not None:
        metric.set_dataset(dataset)
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_metrics_are_those_of_the_functional_core():
    dataset = Dataset()
    metrics = run(CocoMetric(), dataset.samples(), dataset)
    results = [
        {"image_id": s.img_id, "category_id": CATEGORY_IDS[label], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for s in dataset.samples()
        for (x1, y1, x2, y2), score, label in zip(
            s.pred_instances.bboxes.tolist(),
            s.pred_instances.scores.tolist(),
            s.pred_instances.labels.tolist(),
            strict=True,
        )
    ]
    expected = evaluate_coco(dataset.coco_ground_truth(), results, "pycocotools").metrics()
    assert metrics == pytest.approx({f"coco/{key}": value for key, value in expected.items()}, abs=1e-9)
    assert 0.2 < metrics["coco/bbox_mAP"] < 0.9


def _worker(rank, world_size, port_file, folder, repeat):
    dist.init_process_group("gloo", init_method=f"file://{port_file}", rank=rank, world_size=world_size)
    dataset = Dataset()
    samples = dataset.samples()[rank::world_size]
    if repeat and rank == 1:
        samples += dataset.samples()[:1]
    metric = CocoMetric()
    try:
        outcome = run(metric, samples, dataset)
    except ValueError as error:
        outcome = str(error)
    (folder / f"{rank}.json").write_text(json.dumps([outcome, len(metric.results)]))
    dist.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    mp.spawn(_worker, (2, tmp_path / "rendezvous", tmp_path, False), nprocs=2)
    dataset = Dataset()
    one = run(CocoMetric(), dataset.samples(), dataset)
    for rank in range(2):
        metrics, left = json.loads((tmp_path / f"{rank}.json").read_text())
        assert metrics == pytest.approx(one, abs=1e-9)
        assert left == 0


def test_every_process_raises_when_an_image_is_repeated(tmp_path):
    mp.spawn(_worker, (2, tmp_path / "rendezvous", tmp_path, True), nprocs=2)
    first = Dataset().ids[0]
    for rank in range(2):
        message, _ = json.loads((tmp_path / f"{rank}.json").read_text())
        assert f"1 images were evaluated more than once, image {first} 2 times" in message


class Unreadable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_an_error_reaches_processes_that_cannot_read_it():
    error = ValueError("as it is")
    assert _sendable(error) is error
    sent = _sendable(Unreadable("this", "that"))
    assert (type(sent), str(sent)) == (RuntimeError, "Unreadable: this and that")


def test_missing_and_unknown_images_are_errors():
    dataset = Dataset()
    with pytest.raises(ValueError, match=f"2 of 21 images were not evaluated: {dataset.ids[0]}, {dataset.ids[1]}"):
        run(CocoMetric(), dataset.samples()[2:], dataset)
    stray = dataset.samples()
    stray[3].set_metainfo({"img_id": 9999})
    with pytest.raises(ValueError, match="1 evaluated images are not in the ground truth: 9999"):
        run(CocoMetric(), stray, dataset)


def test_ann_file_and_its_class_order(tmp_path):
    dataset = Dataset()
    truth = dataset.coco_ground_truth()
    expected = run(CocoMetric(), dataset.samples(), dataset)
    truth["categories"].reverse()  # the labels follow the data set's classes, not the file's order
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"))
    assert run(metric, dataset.samples()) == expected
    with pytest.raises(ValueError, match=r"truth.json are fibre, dust, cell, but .* has cell, mite; give"):
        run(metric, dataset.samples(), classes=("cell", "mite"))


def test_written_file_scores_the_same(tmp_path):
    dataset = Dataset()
    metrics = run(CocoMetric(outfile_prefix=str(tmp_path / "sub/out")), dataset.samples(), dataset)
    results = json.loads((tmp_path / "sub/out.bbox.json").read_text())
    again = evaluate_coco(dataset.coco_ground_truth(), results).metrics()
    assert {f"coco/{key}": value for key, value in again.items()} == metrics


def test_format_only_needs_no_annotations(tmp_path):
    dataset = Dataset()
    truth = dataset.coco_ground_truth()
    del truth["annotations"]
    (tmp_path / "image_info.json").write_text(json.dumps(truth))
    prefix = str(tmp_path / "out")
    metric = CocoMetric(ann_file=str(tmp_path / "image_info.json"), format_only=True, outfile_prefix=prefix)
    assert run(metric, dataset.samples()) == {}
    results = json.loads((tmp_path / "out.bbox.json").read_text())
    assert len(results) == len(dataset.annotations)
    assert {r["category_id"] for r in results} == set(CATEGORY_IDS)


@pytest.fixture
def log(monkeypatch):
    messages = []
    monkeypatch.setattr(
        "rdet.evaluation.coco_metric.print_log",
        lambda message, logger, level=logging.INFO: messages.append((level, message)),
    )
    return messages


def test_log_has_the_summary_and_then_the_classes(log):
    dataset = Dataset()
    metrics = run(CocoMetric(backend="pycocotools"), dataset.samples(), dataset)
    (_, summary), (_, classes) = log
    title, *lines = summary.splitlines()
    assert title == "Box detections by COCO's rules (pycocotools):"
    assert lines[0].endswith(f"= {metrics['coco/bbox_mAP']:.3f}")
    assert len(lines) == 12
    assert all(name in classes for name in CLASSES)
    log.clear()
    run(CocoMetric(classwise=False), dataset.samples(), dataset)
    assert len(log) == 1


def test_no_ground_truth_boxes_is_said(log):
    dataset = Dataset()
    samples = dataset.samples()
    dataset.annotations = []
    assert set(run(CocoMetric(), samples, dataset).values()) == {-1.0}
    assert log[0][0] == logging.WARNING
    assert "nothing to score" in log[0][1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format_only": True}, ValueError, "set outfile_prefix"),
        ({"collect_device": "tpu"}, ValueError, "valid: 'cpu', 'gpu'"),
        ({"ann_file": "nowhere.json"}, FileNotFoundError, "'nowhere.json' does not exist"),
        ({"backend": "fast"}, ValueError, "valid: auto, pycocotools, hotcoco"),
    ],
)
def test_bad_options_fail_when_the_metric_is_built(options, error, message):
    with pytest.raises(error, match=message):
        METRICS.build({"type": "CocoMetric", **options})


def test_ground_truth_must_come_from_somewhere():
    with pytest.raises(ConfigError, match="from list, which has no coco_ground_truth"):
        CocoMetric().set_dataset([])
    with pytest.raises(ValueError, match="no ground truth: set ann_file"):
        run(CocoMetric(), Dataset().samples())


def test_no_detections_is_said(log):
    dataset = Dataset()
    samples = dataset.samples()
    for sample in samples:
        sample.pred_instances = sample.pred_instances[sample.pred_instances.scores > 1]
    assert run(CocoMetric(), samples, dataset)["coco/bbox_mAP"] == 0
    assert log[0][0] == logging.WARNING
    assert "lower it" in log[0][1]


def crowded(count: int):
    """Ground truth of one image with ``count`` objects of a class, and all of them found."""
    boxes = [[10.0 * index, 0.0, 8.0, 8.0] for index in range(count)]
    truth = {
        "images": [{"id": 1}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box} for box in boxes],
        "categories": [{"id": 1, "name": "cell"}],
    }
    found = np.array([[*box, 1 - index / 1000, 1] for index, box in enumerate(boxes)])
    return truth, {1: found}


@pytest.mark.parametrize("backend", ["pycocotools", "hotcoco"])
def test_more_detections_may_count(backend):
    truth, found = crowded(300)
    scores = evaluate_coco(truth, found, backend)
    assert scores.metrics()["bbox_mAP"] == pytest.approx(0.337, abs=1e-3)
    assert scores.metrics()["bbox_AR@100"] == pytest.approx(1 / 3)
    scores = evaluate_coco(truth, found, backend, max_dets=300)
    assert scores.metrics()["bbox_mAP"] == scores.metrics()["bbox_AR@300"] == scores.class_ap["cell"] == 1
    assert "maxDets=300 ] = 1.000" in scores.summary()


def test_objects_that_cannot_all_be_found_are_said(log):
    truth, _ = crowded(102)
    for max_dets, said in ((101, True), (102, False)):
        metric = CocoMetric(max_dets=max_dets)
        metric.set_dataset(type("Truth", (), {"coco_ground_truth": lambda self: truth})())
        metric.compute_metrics([(1, np.zeros((0, 6)))])
        assert any("Image 1 has 102 objects of one class, but 101 detections" in text for _, text in log) == said
        log.clear()
