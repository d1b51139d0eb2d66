"""Small checkpoints of MMDetection's names, and what a detector finds."""

from functools import partial

import torch
from mmdet_states import shapes

from rdet.structures import DetDataSample

small = partial(shapes, depth=18, width=64)


def detect(model, image):
    """Detections of a BGR image (3, H, W) at its own size."""
    size = tuple(image.shape[1:])
    sample = DetDataSample(metainfo={"img_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)})
    with torch.no_grad():
        return model.test_step({"inputs": [image], "data_samples": [sample]})[0].pred_instances
