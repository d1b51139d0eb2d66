"""The same small data set in every format and in the layouts that tools leave behind."""

import json
from pathlib import Path

from PIL import Image

CLASSES = ("cat", "dog")
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
# Name -> boxes: class, x1, y1, x2, y2 in pixels of an image of 40 x 30.
BOXES = {
    "a": [(0, 1, 2, 11, 22), (1, 20, 10, 40, 30)],
    "b": [(1, 5, 5, 9, 25)],
    "c": [],
    "d": [(0, 0, 0, 40, 30), (0, 10, 10, 30, 20)],
}


def write_images(folder: Path, names=BOXES, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (40, 30)).save(folder / f"{name}{suffix}")


def write_coco(path: Path, names=BOXES, prefix: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [
        {"id": i, "file_name": f"{prefix}{name}.png", "width": 40, "height": 30} for i, name in enumerate(names, 1)
    ]
    rows = [(i, box) for i, name in enumerate(names, 1) for box in BOXES[name]]
    annotations = [
        {
            "id": n,
            "image_id": i,
            "category_id": c + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
        }
        for n, (i, (c, x1, y1, x2, y2)) in enumerate(rows, 1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_yolo(folder: Path, names=BOXES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        lines = [
            f"{c} {(x1 + x2) / 80} {(y1 + y2) / 60} {(x2 - x1) / 40} {(y2 - y1) / 30}"
            for c, x1, y1, x2, y2 in BOXES[name]
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines))


def write_voc(folder: Path, names=BOXES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        objects = "".join(
            f"<object><name>{CLASSES[c]}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>"
            f"<ymax>{y2}</ymax></bndbox></object>"
            for c, x1, y1, x2, y2 in BOXES[name]
        )
        (folder / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.png</filename><size><width>40</width><height>30</height></size>{objects}"
            "</annotation>"
        )


def write_csv(path: Path, names=BOXES, prefix: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{prefix}{name}.png,40,30,{CLASSES[box[0]]},{','.join(map(str, box[1:]))}"
        for name in names
        for box in BOXES[name]
    ]
    path.write_text("\n".join([HEADER, *rows, *(f"{prefix}{n}.png,40,30,,,,," for n in names if not BOXES[n])]))
