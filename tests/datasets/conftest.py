"""Tiny data sets, made afresh for each test."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def shared():
    """Folder of real data sets beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no shared data")
    return SHARED


@pytest.fixture
def log(caplog):
    """Pytest's ``caplog``, listening to mmengine's logger, which does not propagate."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def coco():
    """Content of a COCO file of three images, 40 wide and 30 high; the third has no box."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 30, "width": 40} for i in (7, 3, 9)],
        "categories": [{"id": 5, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 8, "name": "fox"}],
        "annotations": [
            {"id": 11, "image_id": 3, "category_id": 2, "bbox": [1, 2, 10, 20], "area": 150, "iscrowd": 0},
            {"id": 12, "image_id": 7, "category_id": 5, "bbox": [5.5, 6, 7, 8], "area": 56, "iscrowd": 0},
            {"id": 13, "image_id": 3, "category_id": 8, "bbox": [30, 20, 20, 20], "area": 400, "iscrowd": 0},
            {"id": 14, "image_id": 3, "category_id": 5, "bbox": [0, 0, 40, 30], "area": 900, "iscrowd": 1},
        ],
    }


@pytest.fixture
def write(tmp_path):
    """Writes a COCO file and its images into ``tmp_path``; returns arguments of CocoDataset."""

    def write_coco(content: dict, images: bool = True) -> dict:
        (tmp_path / "ann.json").write_text(json.dumps(content))
        (tmp_path / "img").mkdir(exist_ok=True)
        if images:
            for image in content["images"]:
                noise = np.random.default_rng(image["id"]).integers(0, 256, (30, 40, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / "img" / image["file_name"]), noise)
        return {"ann_file": "ann.json", "data_root": str(tmp_path), "data_prefix": {"img": "img"}}

    return write_coco


VOC_OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


@pytest.fixture
def voc(tmp_path):
    """Root of a VOC data set of two splits with two images and one."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("b\na\n")
    (tmp_path / "ImageSets/Main/val.txt").write_text("c\n\n")
    objects = {
        "a": [("dog", 0, (1, 1, 40, 30)), ("cat", 1, (3, 4, 10, 12))],
        "b": [("cat", 0, (11, 6, 20, 15))],
        "c": [("ant", 0, (1, 1, 1, 1))],
    }
    for stem, found in objects.items():
        nodes = "".join(VOC_OBJECT.format(name=name, difficult=difficult, box=box) for name, difficult, box in found)
        (tmp_path / f"Annotations/{stem}.xml").write_text(
            f"<annotation><filename>{stem}.png</filename><size><width>40</width><height>30</height>"
            f"<depth>3</depth></size>{nodes}</annotation>"
        )
        cv2.imwrite(str(tmp_path / f"JPEGImages/{stem}.png"), np.zeros((30, 40, 3), np.uint8))
    return tmp_path
