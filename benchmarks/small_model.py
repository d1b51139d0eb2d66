"""NanoDet-m, the smallest detector here, beside torchvision's SSDlite: python benchmarks/small_model.py

Two networks for the same use, not the same network: 0.95 million parameters against 3.4 (80 classes), both at 320 x 320
pixels, random weights, float32. A training step is 8 images with 8 boxes each; inference is one image, from the image
as the loader gives it to detections. SSDlite is torchvision's smallest.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from side_by_side import arguments, report, spread, time_in_turns
from step import Batch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.engine.memory import keep_freed_memory

CONFIG = Path(__file__).resolve().parents[1] / "configs/nanodet/nanodet_m_320_coco.py"
SIDE, IMAGES, CLASSES = 320, 8, 80


def contenders() -> tuple[dict[str, torch.nn.Module], dict[str, dict[str, Callable]]]:
    """The two networks; and training steps and inference, by name of the work and of the network."""
    torch.manual_seed(0)
    config = load_config(CONFIG, {"model.backbone.weights": None})
    ours = build_detector(config, classes=[str(index) for index in range(CLASSES)])
    ready = build_detector(config, classes=[str(index) for index in range(CLASSES)])
    ready.optimize_for_inference()
    theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    theirs_in_test = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).eval()
    many, one = Batch(IMAGES, SIDE), Batch(1, SIDE)
    data, (images, targets) = many.for_rdet(), many.for_torchvision()
    data_of_one, (image, _) = one.for_rdet(), one.for_torchvision()

    def step(network: torch.nn.Module, losses: Callable[[], dict]) -> Callable[[], None]:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9)

        def run() -> None:
            sum(losses().values()).backward()
            optimizer.step()
            optimizer.zero_grad()

        return run

    def of_rdet() -> dict:
        return ours(**ours.data_preprocessor(data, training=True), mode="loss")

    @torch.no_grad()
    def detect() -> object:
        return ready.test_step(data_of_one)

    @torch.no_grad()
    def detect_of_torchvision() -> object:
        return theirs_in_test(image)

    return {"rdet": ours, "torchvision": theirs}, {
        "training step": {
            "torchvision": step(theirs.train(), lambda: theirs(images, targets)),
            "rdet": step(ours.train(), of_rdet),
        },
        "inference": {"torchvision": detect_of_torchvision, "rdet": detect},
    }


def main() -> None:
    args = arguments("NanoDet-m and SSDlite").parse_args()
    keep_freed_memory()
    networks, works = contenders()
    rows = []
    for name, network in networks.items():
        parameters = sum(p.numel() for p in network.parameters()) / 1e6
        print(f"{name}: {parameters:.2f} million parameters", flush=True)
    for work, calls in works.items():
        seconds = time_in_turns(calls, args.rounds)
        for name, times in seconds.items():
            operations = ""
            if work == "inference":  # torch does not count groups in the backward pass of a convolution
                with FlopCounterMode(display=False) as counter:
                    calls[name]()
                operations = f", {counter.get_total_flops() / 1e9:.2f} G operations"
            ratio = median(times) / median(seconds["torchvision"])
            print(f"{work}, {name}: {spread(times)}, ratio {ratio:.3f}{operations}", flush=True)
            rows.append({"work": work, "contender": name, "seconds": times, "ratio": ratio})
    report(args.out, rows)


if __name__ == "__main__":
    main()
