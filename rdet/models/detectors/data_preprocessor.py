"""From a list of images to one normalised, padded batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from rdet.errors import PipelineError
from rdet.messages import few
from rdet.registry import MODELS
from rdet.schema import Count, Positive
from rdet.structures.unfinished_image import Image, UnfinishedImage


@MODELS.register_module()
class DetDataPreprocessor(BaseDataPreprocessor):
    """Normalisation of images, and padding with zeros, at the right and the bottom, to one size.

    It resizes and flips the images of a pipeline whose ``Resize`` has ``on_device=True``, on the model's device.

    Args:
        mean, std: Of each of the N channels, in grey levels, in the order the network sees them.
        bgr_to_rgb: Whether images come as BGR (OpenCV) and the network expects RGB; only of three channels.
        pad_size_divisor: Height and width of the batch are multiples of it.
        train_size: Least width and height of a batch to train on; None: as large as its images.
        batch_resize: Gives a padded batch to train on, and its samples, another size, such as ``RandomBatchSize``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: tuple[float, ...] = (123.675, 116.28, 103.53),
        std: tuple[Positive, ...] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        pad_size_divisor: Count = 32,
        train_size: tuple[Count, Count] | None = None,
        batch_resize: nn.Module | None = None,
    ):
        super().__init__(non_blocking=True)
        if len(mean) != len(std) or not mean:
            raise ValueError(f"mean has {len(mean)} values and std {len(std)}; write one for each channel")
        if bgr_to_rgb and len(mean) != 3:
            raise ValueError(f"bgr_to_rgb is of 3 channels, but mean has {len(mean)} values; set bgr_to_rgb=False")
        self.bgr_to_rgb = bgr_to_rgb
        self.pad_size_divisor = pad_size_divisor
        self.train_size = train_size
        self.batch_resize = batch_resize
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make one batch of what the data loader collected.

        Args:
            data: ``inputs``, N uint8 images (C, H_i, W_i) or
                :class:`~rdet.structures.unfinished_image.UnfinishedImage`; ``data_samples``, N samples or None.
            training: Whether the batch is one to train on.

        Returns:
            ``inputs`` (N, C, H, W) float32 in channels-last memory on the model's device;
            ``data_samples``, which learn their ``pad_shape``: (height, width) of each image padded by itself. Their
            boxes stay where they are: what matches them on the host need not wait for the device.

        Raises:
            PipelineError: The data are not what :class:`~rdet.datasets.transforms.PackDetInputs` makes of a record.
        """
        _check_packed(data, training)
        images: list[Image] = [
            image.to(self.device, non_blocking=True) if isinstance(image, UnfinishedImage) else self.cast_data(image)
            for image in data["inputs"]
        ]
        sizes = [self._padded(image) for image in images]
        for sample, size in zip(data.get("data_samples") or (), sizes, strict=False):
            sample.set_metainfo({"pad_shape": size})
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        if training and self.train_size is not None:
            width, height = max(width, self.train_size[0]), max(height, self.train_size[1])
        channels = len(self.mean)
        for image in images:
            if image.shape[0] != channels:
                raise PipelineError(
                    f"an image has {image.shape[0]} channels, but data_preprocessor.mean {channels} values; set mean, "
                    "std and backbone.in_channels to those of the images, or channels of LoadImageFromFile"
                )
        batch = torch.zeros(len(images), channels, height, width, device=self.mean.device)
        batch = batch.contiguous(memory_format=torch.channels_last)
        for padded, image in zip(batch, images, strict=True):
            padded[:, : image.shape[1], : image.shape[2]] = self._normalised(image)
        if training and self.batch_resize is not None:
            batch = self.batch_resize(batch, data["data_samples"])
        return {"inputs": batch, "data_samples": data.get("data_samples")}

    def _normalised(self, image: Image) -> Tensor:
        """Return what the network gets of an image, (C, H, W)."""
        if isinstance(image, UnfinishedImage):
            return image.finish(self._normalised(image.pixels))
        image = image.flip(0) if self.bgr_to_rgb else image
        return (image - self.mean) / self.std

    def of_one_size(self, images: Sequence[Image]) -> list[list[int]]:
        """Group images (3, H_i, W_i), by their index, that are equally large when each is padded by itself."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(self._padded(image), []).append(index)
        return list(groups.values())

    def _padded(self, image: Image) -> tuple[int, int]:
        """Return height and width of an image (3, H, W) padded by itself."""
        divisor = self.pad_size_divisor
        return -(-image.shape[1] // divisor) * divisor, -(-image.shape[2] // divisor) * divisor


def _check_packed(data: Mapping[str, Any], training: bool) -> None:
    """Raise PipelineError unless images are there, and their samples say what a detector asks them."""
    if not isinstance(data, Mapping):
        raise PipelineError(f"the data loader gives {type(data).__name__}, no dict with inputs; correct its collate_fn")
    if "inputs" not in data:
        raise PipelineError(f"the pipeline gives {few(data)} and no inputs; end it with dict(type='PackDetInputs')")
    for sample in data.get("data_samples") or ():
        for key in ("img_shape",) if training else ("img_shape", "scale_factor"):
            if key not in sample:
                raise PipelineError(f"the pipeline's samples have no {key}; add it to PackDetInputs.meta_keys")
