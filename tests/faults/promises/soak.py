"""What a run takes does not grow with its length, and is bounded however much there is of images or boxes."""

import json
import multiprocessing
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from promise import Outcome, Promise
from runs import Lab

from promises.crashes import laboratory
from rdet.apis.build import build_datasets, build_detector
from rdet.apis.cli import load_run_config
from rdet.datasets.coco import CocoDataset
from rdet.engine.loader import Loader
from rdet.structures import DetDataSample

_ITERATIONS = 5000
_IMAGES = 10**6
_BOXES = 5000
_MB = 2**20

# Bounds, generous where a machine may be slow.
_GROWTH_MB = 30.0
_SECONDS_TO_START = 180.0
_MB_OF_A_STEP = 500.0


def flat(seed: int, cases: range) -> Outcome:
    """Trains long with a worker and evaluations, and looks at memory, files, threads and shared memory on the way."""
    outcome = Outcome()
    with laboratory() as lab:
        for case in cases:
            lines = (
                f'_base_ = "{lab.tiny}"\ncustom_imports = dict(imports=["tiny_parts", "usage_hook"])\n'
                f"randomness = dict(seed={seed + case})\n"
                f'custom_hooks = [dict(type="WriteUsage", interval={_ITERATIONS // 10})]\n'
                f"train_cfg = dict(max_iters={_ITERATIONS}, val_interval=500)\n"
                "train_dataloader = dict(num_workers=1, persistent_workers=True)\n"
                "val_dataloader = dict(num_workers=1)\n"
                'default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=2, save_best="coco/bbox_mAP"))\n'
            )
            config = lab.write_config(f"soak_{case}", lines)
            folder = lab.folder / f"soak_{case}"
            ended = lab.run(["train.py", str(config), "--work-dir", str(folder)], f"soak_{case}", seconds=840)
            if any(ended.codes):
                outcome.failures.append(f"{case}: it ends with {ended.codes}: {ended.said[-1500:]}")
                continue
            usage = [json.loads(line) for line in (folder / "usage.json").read_text().splitlines()]
            begin, end = usage[2], usage[-1]  # after the first evaluation
            for what in ("files", "threads", "processes", "shared"):
                if end[what] > begin[what]:
                    outcome.failures.append(f"{case}: {what}: {[each[what] for each in usage]}")
            growth = end["MB"] - begin["MB"]
            outcome.figures |= {"MB more after 5000 iterations": growth, "MB": end["MB"], "seconds": ended.seconds}
            if growth > _GROWTH_MB:
                outcome.failures.append(f"{case}: memory: {[round(each['MB']) for each in usage]} MB")
    return outcome


def million_images(seed: int, cases: range) -> Outcome:
    """Reads the annotations of a million images, and has four workers use them: they are there once."""
    outcome = Outcome()
    for case in cases:
        folder = Path(tempfile.mkdtemp(prefix="rdet_soak_"))
        try:
            _write_annotations(folder / "truth.json", _IMAGES)
            found, why = _apart(lambda folder=folder: _read_a_million(folder))
            if why:
                outcome.failures.append(f"{case}: {why}")
                continue
            outcome.figures |= found
            if found["seconds to read a million images"] > _SECONDS_TO_START:
                outcome.failures.append(f"{case}: reading them takes {found['seconds to read a million images']:.0f} s")
            if found["MB that four workers add"] > 0.5 * found["MB of the annotations"] + 4 * 60:
                outcome.failures.append(f"{case}: workers copy the annotations: {found}")
        finally:
            shutil.rmtree(folder)
    return outcome


def _write_annotations(path: Path, images: int) -> None:
    with path.open("w") as file:
        file.write('{"categories": [{"id": 1, "name": "a"}], "images": [')
        for begun in range(1, images + 1, 10000):
            ids = range(begun, min(begun + 10000, images + 1))
            text = ", ".join(f'{{"id": {i}, "file_name": "{i}.png", "width": 64, "height": 64}}' for i in ids)
            file.write((", " if begun > 1 else "") + text)
        file.write('], "annotations": [')
        for begun in range(1, images + 1, 10000):
            ids = range(begun, min(begun + 10000, images + 1))
            box = '"category_id": 1, "bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0'
            text = ", ".join(f'{{"id": {i}, "image_id": {i}, {box}}}' for i in ids)
            file.write((", " if begun > 1 else "") + text)
        file.write("]}")


class _Records(torch.utils.data.Dataset):
    """The records of a data set, without their images."""

    def __init__(self, dataset: CocoDataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        return len(self.dataset.get_data_info(index))  # read to the end


def _read_a_million(folder: Path) -> dict[str, float]:
    begun = time.monotonic()
    dataset = CocoDataset("truth.json", data_root=str(folder), pipeline=[])
    seconds = time.monotonic() - begun
    loader = Loader(_Records(dataset), batch_size=64, num_workers=4, shuffle=True)
    before = _proportional([os.getpid()])
    batches = iter(loader)
    for _ in range(2000):
        next(batches)
    workers = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    together = _proportional([os.getpid(), *workers])
    loader.end_workers()
    return {
        "seconds to read a million images": seconds,
        "MB of the annotations": dataset.data_bytes.nbytes / _MB,
        "MB that four workers add": (together - before) / _MB,
        "MB of the run": before / _MB,
    }


def _proportional(pids: list[int]) -> int:
    """Adds up the memory of processes, where each has its part of what several share."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024 for text in texts)


def many_boxes(seed: int, cases: range) -> Outcome:
    """Trains on an image with 5,000 boxes."""
    outcome = Outcome()
    with laboratory() as lab:
        for case in cases:
            found, why = _apart(lambda number=seed + case: _step_of_many(lab, number))
            if why:
                outcome.failures.append(f"{case}: {why}")
                continue
            outcome.figures |= found
            if found["MB for a step of 5000 boxes"] > _MB_OF_A_STEP:
                outcome.failures.append(f"{case}: a step takes {found['MB for a step of 5000 boxes']:.0f} MB")
    return outcome


def _step_of_many(lab: Lab, seed: int) -> dict[str, float]:
    cfg = load_run_config(str(lab.config("sgd")), [], str(lab.folder / "boxes"))
    model = build_detector(cfg, next(iter(build_datasets(cfg, ("train",)).values())).metainfo["classes"]).train()
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 600, (_BOXES, 2))
    boxes = torch.tensor(np.concatenate([corners, corners + rng.uniform(8, 39, (_BOXES, 2))], axis=1)).float()
    sample = DetDataSample(metainfo={"img_shape": (640, 640), "ori_shape": (640, 640), "scale_factor": (1.0, 1.0)})
    sample.gt_instances = _instances(boxes, torch.tensor(rng.integers(0, 2, _BOXES)))
    sample.ignored_instances = _instances(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    batch = model.data_preprocessor(
        {"inputs": [torch.zeros(3, 640, 640, dtype=torch.uint8)], "data_samples": [sample]}, True
    )
    begun = time.monotonic()
    losses = model(**batch, mode="loss")
    sum(value.mean() for name, value in losses.items() if "loss" in name).backward()
    return {"MB for a step of 5000 boxes": (_peak() - before) / _MB, "seconds for it": time.monotonic() - begun}


def _instances(boxes: torch.Tensor, labels: torch.Tensor):
    from mmengine.structures import InstanceData

    return InstanceData(bboxes=boxes, labels=labels)


def _peak() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def _apart(measure: Callable[[], dict[str, float]]) -> tuple[dict[str, float], str]:
    """Measures in a process of its own; returns what it found, or why it found nothing."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work() -> None:
        try:
            theirs.send((measure(), ""))
        except Exception as error:
            theirs.send(({}, f"{type(error).__name__}: {error}"))

    process = context.Process(target=work)
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = {}, "its process died"
    process.join()
    return found


PROMISES = [
    Promise(
        "soak-flat",
        "Memory, open files, threads and shared memory of a run of 5,000 iterations with workers do not grow",
        flat,
        short=0,
        long=1,
        divides=False,
    ),
    Promise(
        "soak-images",
        f"A million images are read in {_SECONDS_TO_START:.0f} s; all workers share their annotations",
        million_images,
        short=0,
        long=1,
        divides=False,
    ),
    Promise(
        "soak-boxes",
        f"An image with 5,000 boxes trains in {_MB_OF_A_STEP:.0f} MB",
        many_boxes,
        short=1,
        long=1,
        divides=False,
    ),
]
