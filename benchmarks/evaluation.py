"""COCO evaluation against pycocotools, and gathering from 4 processes: python benchmarks/evaluation.py

5,000 images with about 36,000 boxes and 100 detections each, generated. pycocotools is timed from its indexed inputs to
its summary, rdet from plain arrays to its scores; the twelve numbers must be equal. Then 4 gloo processes each hold a
quarter of the detections: how long `CocoMetric.evaluate` takes, and what memory it needs in the main process and in the
others.
"""

import contextlib
import io
import os
import sys
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine import dump
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from side_by_side import arguments, forget_peak, free_port, peak_megabytes, report, spread, time_in_turns

from rdet.evaluation import evaluate_coco
from rdet.evaluation.coco_metric import CocoMetric

IMAGES, CLASSES, DETECTIONS, PROCESSES = 5000, 80, 100, 4


def main() -> None:
    args = arguments("Evaluation", rounds=1).parse_args()
    truth, detections = made_up(IMAGES)
    scores = {}

    def by_rdet() -> None:
        scores["rdet"] = evaluate_coco(truth, detections, "hotcoco").stats

    def by_pycocotools(evaluator: COCOeval) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        scores["pycocotools"] = evaluator.stats

    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        rows = [np.insert(boxes, 0, image, axis=1) for image, boxes in detections.items()]
        found = reference.loadRes(np.concatenate(rows))
    # Minutes a round, and nothing to warm up.
    seconds = {"pycocotools": [], "rdet": []}
    for _ in range(args.rounds):
        start = time.perf_counter()
        by_pycocotools(COCOeval(reference, found, "bbox"))
        seconds["pycocotools"].append(time.perf_counter() - start)
        seconds["rdet"] += time_in_turns({"rdet": by_rdet}, 3)["rdet"]
    np.testing.assert_allclose(scores["rdet"], scores["pycocotools"], rtol=0, atol=1e-12)
    rows = []
    for name, times in seconds.items():
        ratio = float(np.median(seconds["pycocotools"]) / np.median(times))
        print(f"{name}: {spread(times)}, x {ratio:.0f}", flush=True)
        rows.append({"contender": name, "seconds": times, "times_faster": ratio})
    rows.append(gathering(truth))
    report(args.out, rows)


def made_up(images: int) -> tuple[dict, dict[int, np.ndarray]]:
    """A COCO dict, and for each image an array (100, 6) of x, y, width, height, score, category id."""
    rng = np.random.default_rng(0)
    truth = {"images": [], "annotations": [], "categories": [{"id": c, "name": str(c)} for c in range(1, CLASSES + 1)]}
    detections = {}
    for image in range(1, images + 1):
        count = int(rng.poisson(7.2))
        size = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
        boxes = np.column_stack([rng.uniform(0, 640 - size[:, 0]), rng.uniform(0, 480, count), size])
        labels = rng.integers(1, CLASSES + 1, count)
        truth["images"].append({"id": image, "width": 640, "height": 480})
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            annotation = {"id": len(truth["annotations"]) + 1, "image_id": image, "category_id": label, "iscrowd": 0}
            truth["annotations"].append({**annotation, "bbox": box, "area": box[2] * box[3]})
        # A third are near an object and of its class, the others anywhere and anything.
        near = rng.integers(0, count, DETECTIONS // 3) if count else np.zeros(0, int)
        hits = boxes[near] * rng.normal(1, 0.06, (len(near), 4))
        rest = DETECTIONS - len(near)
        size = np.exp(rng.uniform(np.log(8), np.log(300), (rest, 2)))
        misses = np.column_stack([rng.uniform(0, 500, rest), rng.uniform(0, 400, rest), size])
        found = np.concatenate([hits, misses])
        found_labels = np.concatenate([labels[near], rng.integers(1, CLASSES + 1, rest)])
        detections[image] = np.column_stack([found, rng.random(DETECTIONS), found_labels])
    return truth, detections


def gathering(truth: dict) -> dict:
    """Time and memory of an evaluation whose detections lie in 4 processes."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        dump(truth, f"{folder}/truth.json")
        mp.spawn(_one_of_several, args=(folder, port), nprocs=PROCESSES)
        grown = [torch.load(f"{folder}/{rank}.pt") for rank in range(PROCESSES)]
    main_process, others = grown[0], grown[1:]
    megabytes = IMAGES * DETECTIONS * 6 * 8 / 1e6
    print(
        f"{PROCESSES} processes, {megabytes:.0f} MB of detections: {main_process['seconds']:.1f} s; the main process "
        f"grows by {main_process['megabytes']:.0f} MB, the others by at most "
        f"{max(other['megabytes'] for other in others):.0f} MB"
    )
    return {"contender": "gathering", "megabytes_of_detections": megabytes, "grown": grown}


def _one_of_several(rank: int, folder: str, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    metric = CocoMetric(ann_file=f"{folder}/truth.json", classwise=False)
    metric.dataset_meta = {"classes": [str(c) for c in range(1, CLASSES + 1)]}
    _, detections = made_up(IMAGES)
    for image in sorted(detections)[rank::PROCESSES]:
        x, y, width, height, score, label = torch.from_numpy(detections[image]).T
        boxes = torch.stack([x, y, x + width, y + height], dim=1)
        found = {"bboxes": boxes, "scores": score, "labels": (label - 1).long()}
        metric.process(None, [{"img_id": image, "pred_instances": found}])
    del detections
    dist.barrier()
    forget_peak()
    before, start = peak_megabytes(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        metric.evaluate(IMAGES)
    grown = {"seconds": time.perf_counter() - start, "megabytes": peak_megabytes() - before}
    torch.save(grown, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
