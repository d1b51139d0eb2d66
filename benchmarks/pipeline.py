"""The data pipeline against mmcv's transforms: python benchmarks/pipeline.py [--images FOLDER]

From JPEG files to uint8 tensors (3, H, W) of 800 pixels on the short side, half of them flipped, on one core: the
pipeline of configs/_base_/datasets/coco_detection.py, and mmcv's LoadImageFromFile, Resize and RandomFlip with the
copy that makes its output a tensor. Each contender runs in a process of its own, as a loader's worker does; rdet's
workers keep freed memory, mmcv's are as Python starts them. "mmcv, memory kept" has rdet's setting.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from mmcv import transforms as mmcv
from side_by_side import arguments, in_own_process, report

from rdet.config import load_config
from rdet.engine.memory import keep_freed_memory
from rdet.registry import TRANSFORMS

CONFIG = Path(__file__).resolve().parents[1] / "configs/retinanet/r50_fpn_1x_coco.py"
CONTENDERS = ("mmcv", "mmcv, memory kept", "rdet")
IMAGES = 64


def main() -> None:
    parser = arguments("Data pipeline", rounds=5)
    parser.add_argument("--images", type=Path, help="folder of JPEG files (default: 64 generated ones of 640 x 480)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as generated:
        folder = args.images or make_images(Path(generated))
        check_pixels(files_in(folder)[:16])
        rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(args.rounds):
            for name in CONTENDERS:
                rates[name] += in_own_process(__file__, name, str(folder))
    rows = []
    for name, of_it in rates.items():
        ratio = median(of_it) / median(rates["mmcv"])
        print(f"{name}: {median(of_it):.0f} images/s ({min(of_it):.0f} to {max(of_it):.0f}), x {ratio:.2f}", flush=True)
        rows.append({"contender": name, "images_per_second": of_it, "ratio": ratio})
    report(args.out, rows)


def make_images(folder: Path) -> Path:
    """Writes photograph-like pictures: smooth shapes with a little noise, about 100 kB each."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        fine = rng.normal(0, 12, (480, 640, 3))
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC) + fine
        cv2.imwrite(str(folder / f"{index:03}.jpg"), image.clip(0, 255).astype(np.uint8))
    return folder


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))[:IMAGES]


def pipeline(name: str, flip: float) -> Callable[[Path], torch.Tensor]:
    """The contender's way from a file to a tensor, flipping always or never."""
    if name == "rdet":
        cfg = load_config(CONFIG)
        steps = [dict(step) for step in cfg.train_dataloader.dataset.pipeline]
        for step in steps:
            if step["type"] == "RandomFlip":
                step["prob"] = flip
        steps = [TRANSFORMS.build(step, where="pipeline") for step in steps]
    else:
        scale = (1333, 800)
        steps = [mmcv.LoadImageFromFile(), mmcv.Resize(scale=scale, keep_ratio=True), mmcv.RandomFlip(prob=flip)]

    def run(path: Path) -> torch.Tensor:
        results = {"img_path": str(path), "img_id": 0, "gt_bboxes": np.array([[10, 20, 100, 200]], np.float32)}
        results |= {"gt_bboxes_labels": np.zeros(1, np.int64), "gt_ignore_flags": np.zeros(1, bool)}
        for step in steps:
            results = step(results)
        if name == "rdet":
            return results["inputs"]
        return torch.from_numpy(np.ascontiguousarray(results["img"].transpose(2, 0, 1)))

    return run


def check_pixels(paths: list[Path]) -> None:
    """The same pictures, within a grey level."""
    for flip in (0.0, 1.0):
        ours, theirs = pipeline("rdet", flip), pipeline("mmcv", flip)
        for path in paths:
            torch.testing.assert_close(ours(path).int(), theirs(path).int(), rtol=0, atol=1)


def run(name: str, folder: Path) -> None:
    """Prints images a second."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if name != "mmcv":
        keep_freed_memory()
    ways, paths = [pipeline(name, flip) for flip in (0.0, 1.0)], files_in(folder)
    for repetition in range(4):
        start = time.perf_counter()
        for index, path in enumerate(paths):
            ways[(index + repetition) % 2](path)
        seconds = time.perf_counter() - start
    print(len(paths) / seconds)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2])) if sys.argv[1:2] and sys.argv[1] in CONTENDERS else main()
