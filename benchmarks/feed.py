"""Whether reading images keeps up with a training step: python benchmarks/feed.py [--workers N] [--on-device] ...

RetinaNet R50-FPN and the data pipeline of its config, from generated JPEG files of 640 x 480: the loader alone, the
step alone on a batch that is there, and both, in images a second. JPEG files are decoded by the workers, with OpenCV's
turbo decoder; with --on-device they do no more, and the network's device resizes and flips. On a GPU in bfloat16 and by
CUDA graphs, the sizes of a training; without one, give small ones, or --loader-only.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from pipeline import make_images
from side_by_side import report

from rdet.apis.build import build_datasets, build_detector
from rdet.config import load_config
from rdet.engine.runner import Runner
from rdet.engine.sampling import SeededDataset

CONFIG = Path(__file__).resolve().parents[1] / "configs/retinanet/r50_fpn_1x_coco.py"
BOXES = 8


def write_data(folder: Path) -> None:
    """Writes JPEG files and their boxes in COCO's format."""
    (folder / "images").mkdir()
    names = sorted(path.name for path in make_images(folder / "images").iterdir())
    rng = np.random.default_rng(1)
    images, annotations = [], []
    for index, name in enumerate(names):
        images.append({"id": index, "file_name": name, "width": 640, "height": 480})
        for corner, extent in zip(rng.uniform(0, 300, (BOXES, 2)), rng.uniform(20, 170, (BOXES, 2)), strict=True):
            box = [*corner.tolist(), *extent.tolist()]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": 1 + len(annotations) % 80,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index + 1, "name": f"class {index}"} for index in range(80)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(truth))


def parts_of(
    folder: Path, batch_size: int, workers: int, side: int, depth: int, on_device: bool
) -> tuple[Iterator, Callable, object]:
    """The batches of a training, its step on one of them, and the loader to end."""
    config = load_config(
        CONFIG,
        {
            "data_root": f"{folder}/",
            "model.backbone.weights": None,
            "model.backbone.depth": depth,
            "train_dataloader.dataset.ann_file": "truth.json",
            "train_dataloader.dataset.data_prefix.img": "images/",
            "train_dataloader.dataset.metainfo.classes": [f"class {index}" for index in range(80)],
        },
    )
    for transform in config.train_dataloader.dataset.pipeline:
        if transform.type == "Resize":
            transform.scale, transform.on_device = (1333 * side // 800, side), on_device
    dataset = build_datasets(config, ("train",))["train"]
    options = {"batch_size": batch_size, "num_workers": workers, "dataset": SeededDataset(dataset)}
    loader = Runner.build_dataloader(options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    network = build_detector(config, classes=dataset.metainfo["classes"]).to(device).train()
    if device == "cuda":
        network.use_cuda_graphs()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.0, fused=device == "cuda")

    def step(batch: dict) -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            losses = network(**network.data_preprocessor(batch, training=True), mode="loss")
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return iter(loader), step, loader


def images_per_second(call: Callable[[], object], batch_size: int, rounds: int, warm_up: int) -> float:
    for _ in range(warm_up):
        call()
    _wait()
    start = time.perf_counter()
    for _ in range(rounds):
        call()
    _wait()
    return rounds * batch_size / (time.perf_counter() - start)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def feed(
    batch_size: int = 16,
    workers: int = 16,
    side: int = 800,
    rounds: int = 40,
    depth: int = 50,
    on_device: bool = False,
    steps: bool = True,
) -> dict[str, float | int]:
    """Images a second of the loader, the step, and both; both by the step; bytes that are handed on of an image."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        batches, step, loader = parts_of(Path(folder), batch_size, workers, side, depth, on_device)
        one = next(batches)
        image = one["inputs"][0]
        size = (image.pixels if on_device else image).nbytes
        # Longer than what the workers have ready, so that it is their rate.
        ahead = 2 * workers
        found = {"loader": images_per_second(lambda: next(batches), batch_size, rounds + ahead, ahead)}
        if steps:
            found["step"] = images_per_second(lambda: step(one), batch_size, rounds, 3)
            found["both"] = images_per_second(lambda: step(next(batches)), batch_size, rounds + ahead, ahead)
            found["of_step"] = found["both"] / found["step"]
        loader.end_workers()
    said = {"workers": workers, "batch_size": batch_size, "image_bytes": size}
    return {**found, **said}


def feeds(**options: int) -> dict[str, float | int]:
    """What :func:`feed` finds, and beside it with the pixels left to the device."""
    found = feed(**options)
    other = feed(**options, on_device=True)
    same = ("workers", "batch_size")
    return {**found, **{f"{name}_on_device": value for name, value in other.items() if name not in same}}


def main() -> None:
    parser = argparse.ArgumentParser("Reading images beside a training step")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=min(16, os.cpu_count() or 1))
    parser.add_argument("--side", type=int, default=800, help="short side of the images that are trained on")
    parser.add_argument("--rounds", type=int, default=40, help="batches of each measurement")
    parser.add_argument("--depth", type=int, default=50, help="of the ResNet")
    parser.add_argument("--on-device", action="store_true", help="leave resizing and flips to the network's device")
    parser.add_argument("--loader-only", action="store_true", help="leave out the step, which a CPU takes long for")
    parser.add_argument("--out", type=Path, help="json file for the numbers")
    args = parser.parse_args()
    sizes = args.batch_size, args.workers, args.side, args.rounds, args.depth
    found = feed(*sizes, on_device=args.on_device, steps=not args.loader_only)
    for name in ("loader", "step", "both")[: 1 if args.loader_only else 3]:
        print(f"{name}: {found[name]:.1f} images/s")
    print(f"an image of the loader: {found['image_bytes'] / 1e6:.2f} MB, with {found['workers']} workers")
    if not args.loader_only:
        print(f"both: {found['of_step']:.2f} of the step alone")
    report(args.out, [found])


if __name__ == "__main__":
    main()
