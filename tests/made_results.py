"""A truth and detections that are neither perfect nor hopeless, as files of anyone."""

import json
from pathlib import Path

import numpy as np

CLASSES = ("cell", "<script>alert(1)</script>", "红细胞", "Тромбоцит")


def made_truth(images: int = 12, classes=CLASSES, seed: int = 0) -> dict:
    """Objects of all sizes, some of them crowds, in images of which the last has none."""
    rng = np.random.default_rng(seed)
    truth = {
        "images": [{"id": 7 * i + 3, "file_name": f"{i}.png", "width": 320, "height": 240} for i in range(images)],
        "categories": [{"id": 10 * (i + 1), "name": name} for i, name in enumerate(classes)],
        "annotations": [],
    }
    for image in truth["images"][:-1]:
        for _ in range(rng.integers(1, 9)):
            x, y, w, h = *rng.uniform(0, 150, 2), *rng.uniform(8, 140, 2)
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": int(rng.choice([10 * (i + 1) for i in range(len(classes))])),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.08),
                }
            )
    return truth


def made_results(truth: dict, noise: float = 6.0, seed: int = 1) -> list[dict]:
    """Most objects with moved boxes, some of another class or twice, and false alarms; scores have ties."""
    rng = np.random.default_rng(seed)
    ids = [category["id"] for category in truth["categories"]]
    found = []
    for annotation in truth["annotations"]:
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            box = np.asarray(annotation["bbox"]) + rng.normal(0, noise, 4)
            found.append((annotation["image_id"], annotation["category_id"] if rng.random() > 0.15 else ids[0], box))
    for image in truth["images"]:
        found.append((image["id"], ids[-1], rng.uniform(5, 100, 4)))
    return [
        {
            "image_id": image,
            "category_id": int(category),
            "bbox": np.maximum(box, 1).tolist(),
            "score": round(float(rng.random()), 2),
        }
        for image, category, box in found
    ]


def write(folder: Path, **contents) -> dict[str, Path]:
    """Write json files, name -> content; return their paths."""
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(content), encoding="utf-8")
    return paths
