"""COCO's json format."""

import json
from pathlib import Path

from rdet.datasets.writers.part import Part
from rdet.files import write_text


def write_coco(parts: list[Part], out: Path) -> dict[str, str]:
    """Write ``annotations/SPLIT.json``. Return where each image goes: path now -> path below ``out``."""
    places = {}
    for part in parts:
        folder = f"images/{part.split}" if len(parts) > 1 else "images"
        write_text(out / "annotations" / f"{part.split}.json", json.dumps(part.content))
        places |= {path: f"{folder}/{image['file_name']}" for image, _, path in part.images()}
    return places
