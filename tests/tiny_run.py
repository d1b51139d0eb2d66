"""A detector and a data set so small that a run takes a second."""

import json
from pathlib import Path

import cv2
import numpy as np
import remembered  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
NUM_IMAGES = 13  # odd, so that two processes cannot share them evenly

# What the smallest runs share: a detector, and where its data are.
DETECTOR = """
_base_ = "{root}/configs/_base_/default_runtime.py"
custom_imports = dict(imports=["tiny_parts"])
data_root = "{data}"
model = dict(
    type="RetinaNet",
    backbone=dict(type="TinyBackbone"),
    neck=dict(type="FPN", out_channels={channels}, num_extra=1),
    bbox_head=dict(type="RetinaHead", feat_channels={channels}, stacked_convs=1),
    anchor_generator=dict(type="AnchorGenerator", octave_base_scale=2, scales_per_octave=1),
    assigner=dict(type="MaxIoUAssigner"),
    bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
    loss_cls=dict(type="FocalLoss"),
    loss_bbox=dict(type="SmoothL1Loss"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.0, max_per_img=20),
)
"""
RUN = """
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(
    type="CocoDataset", ann_file="truth.json", pipeline=[
        dict(type="LoadImageFromFile"),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PhotoMetricDistortion"),
        dict(type="PackDetInputs"),
    ]))
val_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(
    type="CocoDataset", ann_file="truth.json", test_mode=True, pipeline=[
        dict(type="LoadImageFromFile"), dict(type="PackDetInputs")]))
train_cfg = dict(by_epoch=False, max_iters=6, val_interval=1000)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.02, momentum=0.9))
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=4)]
default_hooks = dict(
    checkpoint=dict(interval=5, by_epoch=False, save_best=None, max_keep_ckpts=-1),
    results=None, labels=None, batches=None, curves=None,
)
randomness = dict(seed=3, deterministic=True)
log_level = "WARNING"
"""


def write_tiny_run(folder: Path) -> Path:
    """Writes a config whose data are 13 images with one or two bright boxes, one of them empty; returns its path."""
    rng = np.random.default_rng(0)
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "bright"}, {"id": 2, "name": "red"}]}
    for image_id in range(1, NUM_IMAGES + 1):
        image = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
        for _ in range(0 if image_id == 4 else 1 + image_id % 2):
            x, y, w, h = (int(v) for v in (*rng.integers(0, 36, 2), *rng.integers(12, 28, 2)))
            category = int(rng.integers(1, 3))
            image[y : y + h, x : x + w] = 230 if category == 1 else (20, 20, 230)
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        truth["images"].append({"id": image_id, "file_name": f"{image_id}.png", "width": 64, "height": 64})
        cv2.imwrite(str(folder / f"{image_id}.png"), image)
    (folder / "truth.json").write_text(json.dumps(truth))
    path = folder / "tiny.py"
    path.write_text(DETECTOR.format(root=ROOT, data=folder, channels=16) + RUN)
    return path
