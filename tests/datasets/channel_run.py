"""A run on images of any number of channels, of a detector with ResNet-18."""

import json
from pathlib import Path

import numpy as np
from tiny_run import DETECTOR, ROOT, RUN


def write_run(folder: Path, channels: int, step: dict | None = None) -> str:
    """Writes four images as arrays and a config of two iterations on them; returns its path.

    Args:
        folder: Where they go.
        channels: Of the images.
        step: A transform of the pipeline to train with.
    """
    rng = np.random.default_rng(0)
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    for i in range(1, 5):
        np.save(folder / f"{i}.npy", rng.integers(0, 256, (64, 64, channels), dtype=np.uint8))
        truth["images"].append({"id": i, "file_name": f"{i}.npy", "width": 64, "height": 64})
        truth["annotations"].append({"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 30, 30]})
    (folder / "truth.json").write_text(json.dumps(truth))
    load, pack = {"type": "LoadImageFromFile", "channels": channels}, {"type": "PackDetInputs"}
    steps = [load, {"type": "RandomFlip", "prob": 0.5}, *([step] if step else []), pack]
    values = {"type": "DetDataPreprocessor", "mean": [128.0] * channels, "std": [64.0] * channels, "bgr_to_rgb": False}
    backbone = {"type": "ResNet", "depth": 18, "in_channels": channels, "frozen_stages": 0, "norm_eval": False}
    detector = DETECTOR.replace('custom_imports = dict(imports=["tiny_parts"])\n', "")
    (folder / "base.py").write_text(detector.format(root=ROOT, data=folder, channels=16) + RUN)
    config = folder / "channels.py"
    config.write_text(
        f'_base_ = "base.py"\nmodel = dict(backbone=dict(_delete_=True, **{backbone}), data_preprocessor={values})\n'
        f"train_dataloader = dict(num_workers=0, dataset=dict(pipeline={steps}))\n"
        f"val_dataloader = dict(dataset=dict(pipeline={[load, pack]}))\n"
        "train_cfg = dict(max_iters=2)\nparam_scheduler = []\n"
        "default_hooks = dict(checkpoint=dict(interval=2))\n"
    )
    return str(config)
