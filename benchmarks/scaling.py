"""What more cards would bring: computed, not measured. python benchmarks/scaling.py

A step on several cards is that of one, and the exchange of its gradients. A ring moves 2 (n - 1) / n times their bytes
through each card's slowest link (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
workstations", 2009), and takes 2 (n - 1) hops. torch exchanges gradients in buckets while the backward pass goes on:
what is left after it is at least the last bucket, and all that did not fit beside it; of a step that is replayed as
CUDA graphs, whose gradients come together, all of it. The step's time is that measured on one card:
docs/results/gpu_h200.json.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rdet.apis.build import build_detector
from rdet.config import load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs/retinanet/r50_fpn_1x_coco.py"
# Of torch's DistributedDataParallel, in bytes.
BUCKET = 25 * 2**20
CARDS = (1, 2, 4, 8, 16, 32, 64)


class Link(NamedTuple):
    """What joins cards: bytes a second that a ring gets of it, and seconds of a hop. Both are assumptions."""

    name: str
    bytes_per_second: float
    hop: float


# Makers state 450 GB/s a direction for an H100's NVLink; 400 Gbit/s are 50 GB/s and 25 are 3.1. Rings are taken to
# reach 80 % of it. A ring leaves and enters each machine once, so all cards of a machine share its links: one, or one
# for each of eight cards, with as many rings.
INSIDE = Link("NVLink", 0.8 * 450e9, 3e-6)
BETWEEN = (
    Link("400 Gbit/s a card", 0.8 * 8 * 50e9, 10e-6),
    Link("400 Gbit/s a machine", 0.8 * 50e9, 10e-6),
    Link("25 Gbit/s a machine", 0.8 * 3.1e9, 30e-6),
)
CARDS_OF_A_MACHINE = 8


def seconds_of_exchange(size: float, cards: int, link: Link) -> float:
    """Seconds in which a ring of cards adds up ``size`` bytes of each."""
    return 2 * (cards - 1) / cards * size / link.bytes_per_second + 2 * (cards - 1) * link.hop


def seconds_of_step(alone: float, backward: float, size: float, cards: int, link: Link) -> float:
    """Seconds of a step on several cards.

    Args:
        alone: Seconds of the step on one card.
        backward: Seconds of its backward pass, beside which buckets are exchanged.
        size: Bytes of all gradients.
        cards: How many.
        link: The slowest between them.
    """
    if cards == 1:
        return alone
    whole = seconds_of_exchange(size, cards, link)
    last = seconds_of_exchange(min(size, BUCKET), cards, link)
    return alone + max(last, whole - backward)


def bytes_of_gradients() -> int:
    """Bytes of the float32 gradients of RetinaNet R50."""
    config = load_config(CONFIG, {"model.backbone.weights": None})
    model = build_detector(config, classes=[str(index) for index in range(80)])
    return sum(4 * parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def table(results: dict, size: int) -> list[str]:
    """Rows of the table: images a second, and the share of what as many cards by themselves would do."""
    row = next(row for row in results["training"]["rows"] if row["name"] == "rdet, CUDA graphs")
    alone = median(row["seconds"])
    images = row["images_per_second"] * alone
    lines = ["| cards | " + " | ".join(link.name for link in BETWEEN) + " |", "|---|" + "---|" * len(BETWEEN)]
    for cards in CARDS:
        cells = []
        for link in BETWEEN:
            slowest = INSIDE if cards <= CARDS_OF_A_MACHINE else link
            seconds = seconds_of_step(alone, 0.0, size, cards, slowest)  # a replay gives all gradients at its end
            cells.append(f"{cards * images / seconds:,.0f} images/s ({alone / seconds:.0%})")
        lines.append(f"| {cards} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Images a second of 1 to 64 cards, computed from the step of one")
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "docs/results/gpu_h200.json")
    results = json.loads(parser.parse_args().results.read_text())
    size = bytes_of_gradients()
    print(f"computed, not measured: gradients of {size / 1e6:.0f} MB, a step of one {results['machine']['card']}")
    print("\n".join(table(results, size)))


if __name__ == "__main__":
    main()
