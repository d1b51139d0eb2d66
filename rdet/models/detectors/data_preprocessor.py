"""From a list of images to one normalised, padded batch."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from rdet.registry import MODELS


@MODELS.register_module()
class DetDataPreprocessor(BaseDataPreprocessor):
    """Normalisation of images, and padding with zeros, at the right and the bottom, to one size.

    Args:
        mean, std: Of the three channels, in grey levels, in the order the network sees them.
        bgr_to_rgb: Whether images come as BGR (OpenCV) and the network expects RGB.
        pad_size_divisor: Height and width of the batch are multiples of it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
        std: tuple[float, float, float] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        pad_size_divisor: int = 32,
    ):
        super().__init__(non_blocking=True)
        self.bgr_to_rgb = bgr_to_rgb
        self.pad_size_divisor = pad_size_divisor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make one batch of what the data loader collected.

        Args:
            data: ``inputs``, N uint8 images (3, H_i, W_i); ``data_samples``, N samples or None.
            training: Not used; mmengine passes it.

        Returns:
            ``inputs`` (N, 3, H, W) float32 in channels-last memory on the model's device;
            ``data_samples`` as they are: what matches their boxes on the host need not wait for the device.
        """
        images: list[Tensor] = self.cast_data(list(data["inputs"]))
        divisor = self.pad_size_divisor
        height = -(-max(image.shape[1] for image in images) // divisor) * divisor
        width = -(-max(image.shape[2] for image in images) // divisor) * divisor
        batch = torch.zeros(len(images), 3, height, width, device=self.mean.device)
        batch = batch.contiguous(memory_format=torch.channels_last)
        for padded, image in zip(batch, images, strict=True):
            image = image.flip(0) if self.bgr_to_rgb else image
            padded[:, : image.shape[1], : image.shape[2]] = (image - self.mean) / self.std
        return {"inputs": batch, "data_samples": data.get("data_samples")}
