"""A detector that finds bright rectangles, without a network, and what it looks at."""

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from rdet.models.postprocess.nms_postprocess import NMSPostprocess

STEPS = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]


class Finder:
    """Finds each connected bright region; its score is the region's brightest value, its label 1 where it is red."""

    classes = ("bright", "red")
    batch_size = None

    def __init__(self, steps=STEPS, smallest: int = 1):
        self.cfg = Config({"test_dataloader": {"dataset": {"pipeline": steps}}})
        self.postprocess = NMSPostprocess(score_thr=0.05, max_per_img=100)
        self.smallest = smallest
        self.batches: list[list[tuple[int, ...]]] = []

    def batch_key(self, image: torch.Tensor) -> tuple[int, ...]:
        return tuple(image.shape)

    def test_step(self, data: dict) -> list:
        self.batches.append([tuple(image.shape) for image in data["inputs"]])
        for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
            grey = image.amax(dim=0).numpy()
            _, _, stats, _ = cv2.connectedComponentsWithStats((grey > 100).astype(np.uint8))
            boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area >= self.smallest]
            corners = [image[:, (y1 + y2) // 2, (x1 + x2) // 2].tolist() for x1, y1, x2, y2 in boxes]
            factor = torch.tensor(sample.scale_factor).repeat(2)
            sample.pred_instances = InstanceData(
                bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / factor,
                scores=torch.tensor([max(pixel) / 255 for pixel in corners]),
                labels=torch.tensor([int(pixel[0] < 100) for pixel in corners], dtype=torch.long),
            )
        return data["data_samples"]


def scene(height: int = 48, width: int = 64, boxes=((8, 10, 20, 30, 255),)) -> np.ndarray:
    """Returns a dark image with bright boxes: x1, y1, x2, y2, value."""
    image = np.full((height, width, 3), 20, np.uint8)
    for x1, y1, x2, y2, value in boxes:
        image[y1:y2, x1:x2] = value
    return image
