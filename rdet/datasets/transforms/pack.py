"""Handing a record to the model."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from rdet.datasets.transforms.left_to_device import LeftToDevice
from rdet.errors import DatasetError
from rdet.messages import nearest
from rdet.registry import TRANSFORMS
from rdet.structures import DetDataSample
from rdet.structures.unfinished_image import Image, UnfinishedImage


@TRANSFORMS.register_module()
class PackDetInputs(BaseTransform):
    """Packs a record into ``dict(inputs=..., data_samples=...)``.

    ``inputs`` is the image, (N, H, W) uint8, or an :class:`~rdet.structures.unfinished_image.UnfinishedImage` after a
    ``Resize`` with ``on_device=True``; ``data_samples`` a :class:`DetDataSample` with
    ``gt_instances`` and ``ignored_instances`` (if the record has boxes) and the meta information.

    Args:
        meta_keys: What of the record becomes meta information.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            "img_id",
            "img_path",
            "ori_shape",
            "img_shape",
            "scale_factor",
            "flip",
            "flip_direction",
        ),
    ):
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Return the packed record. Raise :class:`DatasetError` if a meta key is not in it."""
        for key in self.meta_keys:
            if key not in results:
                raise DatasetError(f"PackDetInputs: the record has no {key!r} to pack. {nearest(key, results)}")
        sample = DetDataSample(metainfo={key: results[key] for key in self.meta_keys})
        if "gt_bboxes" in results:
            bboxes = torch.from_numpy(results["gt_bboxes"].astype(np.float32))
            labels = torch.from_numpy(results["gt_bboxes_labels"].astype(np.int64))
            ignored = torch.from_numpy(results["gt_ignore_flags"].astype(bool))
            sample.gt_instances = InstanceData(bboxes=bboxes[~ignored], labels=labels[~ignored])
            sample.ignored_instances = InstanceData(bboxes=bboxes[ignored], labels=labels[ignored])
        image = results["img"]
        if isinstance(image, LeftToDevice):
            inputs: Image = UnfinishedImage(_to_tensor(image.as_loaded), image.to_size, image.flipped)
        else:
            inputs = _to_tensor(image)
        return {"inputs": inputs, "data_samples": sample}

    def __repr__(self) -> str:
        return f"PackDetInputs(meta_keys={self.meta_keys})"


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    planes = np.empty((image.shape[2], *image.shape[:2]), dtype=image.dtype)
    cv2.split(image, list(planes))  # several times faster than a transposing copy
    return torch.from_numpy(planes)
