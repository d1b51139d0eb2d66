"""YOLO's text files."""

import json
from pathlib import Path

from rdet.datasets.writers.part import Part, stem_of, write_small
from rdet.files import write_text


def write_yolo(parts: list[Part], out: Path) -> dict[str, str]:
    """Write ``labels/SPLIT/*.txt`` and ``data.yaml``. Return where each image goes.

    Fractions have nine decimals. Regions to ignore are left out, as the format has none.
    """
    places, folders = {}, {}
    for part in parts:
        inner = f"/{part.split}" if len(parts) > 1 else ""
        folders["train" if part.split == "all" else part.split] = f"images{inner}"
        label_of, seen = part.label_of(), {}
        for image, boxes, path in part.images():
            stem = stem_of(image["file_name"], seen)
            lines = [_line(box, image, label_of[box["category_id"]]) for box in boxes if not box["iscrowd"]]
            write_small(out / f"labels{inner}/{stem}.txt", "".join(lines))
            places[path] = f"images{inner}/{image['file_name']}"
    names = "".join(f"  {i}: {json.dumps(name, ensure_ascii=False)}\n" for i, name in enumerate(parts[0].classes))
    text = "".join(f"{split}: {folder}\n" for split, folder in folders.items())
    write_text(out / "data.yaml", f"{text}nc: {len(parts[0].classes)}\nnames:\n{names}")
    return places


def _line(box: dict, image: dict, label: int) -> str:
    x, y, width, height = box["bbox"]
    horizontal, vertical = image["width"], image["height"]
    values = ((x + width / 2) / horizontal, (y + height / 2) / vertical, width / horizontal, height / vertical)
    return " ".join([str(label), *(f"{value:.9f}" for value in values)]) + "\n"
