"""COCO annotation files, as a data set and as the ground truth of an evaluation."""

import json
from pathlib import Path
from random import Random

import numpy as np
import torch
from fuzz import Case, Reader
from odd import damage, mutate, no_file, with_numbers
from PIL import Image

from rdet.datasets import CocoDataset
from rdet.evaluation.coco_metric import CocoMetric

_BACKEND = "pycocotools"  # hotcoco's threads are missing in a child of a process that has used them: it would wait


def content(rng: Random) -> dict:
    """Return a small COCO file that is right."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 12, "width": 16} for i in (7, 3, 9)]
    return {
        "info": {"year": 2017},
        "images": images,
        "categories": [{"id": i, "name": n, "supercategory": "x"} for i, n in ((5, "cat"), (2, "dog"))],
        "annotations": [
            {
                "id": i,
                "image_id": rng.choice(images)["id"],
                "category_id": rng.choice((5, 2)),
                "bbox": [rng.uniform(0, 9), rng.randrange(6), rng.uniform(1, 6), rng.randrange(1, 6)],
                "area": rng.choice((3, 8.5)),
                "iscrowd": int(i == 4),
                "segmentation": [[1, 2, 3, 4, 5, 6]],
            }
            for i in range(1, 6)
        ],
    }


def write(rng: Random, folder: Path) -> str:
    """Write a file with a fault, or none; return what was done."""
    path = folder / "ann.json"
    kind = rng.choice(("changed", "changed", "changed", "damaged", "no file", "deep", "twice", "other", "encoded"))
    made = mutate(rng, content(rng)) if kind not in ("twice", "encoded") else content(rng)
    text = with_numbers(json.dumps(made, ensure_ascii=rng.random() < 0.5, allow_nan=True))
    data = text.encode("utf-8", "surrogatepass")
    if kind == "damaged":
        data = damage(rng, json.dumps(content(rng)).encode())
    elif kind == "deep":
        depth = rng.choice((100, 900, 5000, 200_000))
        inner = rng.choice(("[", '{"a":')) * depth
        closing = ("]" if inner[0] == "[" else "}") * depth if rng.random() < 0.7 else ""
        data = text.replace('"info"', f'"deep": {inner}1{closing}, "info"', 1).encode("utf-8", "surrogatepass")
    elif kind == "twice":
        key = rng.choice(('"images"', '"id"', '"bbox"', '"name"', '"categories"'))
        data = text.replace(key, f"{key}: {rng.choice(('[]', '1', 'null'))}, {key}", 1).encode()
    elif kind == "other":
        data = rng.choice((b"", b" ", b"[]", b"null", b"1", b'"x"', b"{}", b"\x89PNG\r\n", b"a: 1", b"\x80\x04N."))
    elif kind == "encoded":
        data = text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1", "cp037")))
    path.write_bytes(data)
    return no_file(rng, path) if kind == "no file" else f"{kind}: {data[:3000]!r}"


def dataset_case(rng: Random, folder: Path) -> Case:
    """A data set of a file, its images and its ground truth."""
    shown = write(rng, folder)
    (folder / "img").mkdir()
    for i in (7, 3, 9):
        Image.new("RGB", (16, 12)).save(folder / "img" / f"{i}.png")
    options = {
        "test_mode": rng.random() < 0.5,
        "on_bad_image": rng.choice(("error", "skip")),
        "allow_outside": rng.random() < 0.2,
        "filter_empty_gt": rng.random() < 0.2,
    }
    if rng.random() < 0.2:
        options["metainfo"] = {"classes": rng.choice((("cat",), ("dog", "cat"), ("cow",)))}

    def read() -> None:
        dataset = CocoDataset(
            "ann.json",
            data_root=str(folder),
            data_prefix={"img": "img"},
            pipeline=[{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}],
            **options,
        )
        for i in range(len(dataset)):
            dataset[i]
        metric = CocoMetric(backend=_BACKEND)
        metric.dataset_meta = dataset.metainfo
        metric.set_dataset(dataset)
        evaluate(metric, [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))])

    return Case(read, (str(folder),), f"{options} {shown}")


def truth_case(rng: Random, folder: Path) -> Case:
    """The ground truth of CocoMetric."""
    shown = write(rng, folder)
    ids = [7, 3, 9]

    def read() -> None:
        metric = CocoMetric(ann_file=str(folder / "ann.json"), backend=_BACKEND)
        metric.dataset_meta = {"classes": ("cat", "dog")}
        evaluate(metric, ids)

    return Case(read, (), shown)


def evaluate(metric: CocoMetric, ids: list) -> None:
    """Score one detection an image."""
    for image_id in ids:
        found = {
            "bboxes": torch.tensor([[1.0, 1, 5, 5]]),
            "scores": torch.tensor([0.5]),
            "labels": torch.zeros(1, dtype=torch.long),
        }
        metric.process(None, [{"img_id": image_id, "pred_instances": found}])
    scores = metric.evaluate(len(ids))
    assert all(np.isfinite(value) for value in scores.values()), scores


READERS = [
    Reader("coco", dataset_case, cases=60),
    Reader("coco_truth", truth_case, cases=60),
]
