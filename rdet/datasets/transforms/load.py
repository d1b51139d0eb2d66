"""Loading the image of a record."""

from typing import Literal

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.images import MAX_PIXELS, read_image
from rdet.errors import ConfigError, DatasetError
from rdet.registry import TRANSFORMS
from rdet.remote import BackendArgs
from rdet.schema import Count


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Reads ``img_path``, or takes the array that ``img`` already holds.

    Sets ``img`` (H, W, N) uint8, of three channels BGR, ``ori_shape`` and ``img_shape`` (H, W), and what the picture
    has been through so far: ``scale_factor`` (1, 1), ``flip`` False, ``flip_direction`` None.

    Args:
        max_pixels: Most pixels of a file; the header says how many, so a larger one is never decoded. The default
            keeps what a worker holds of one image below a gigabyte. A small file may claim any number.

        value_range: Of images of more than 8 bits a channel, the values that become 0 and 255, such as
            ``(0, 4095)``; those between are scaled linearly, those outside cut. ``'image'``: the lowest and the highest
            value of each image, which gives up what is the same in all. None refuses such images.
        backend_args: Where images are, for mmengine's ``fileio``: ``dict(backend="lmdb", db_path=...)``. None: what the
            path says, which may be an address, ``http://``, ``zip://`` or ``tar://``.
        channels: Of the images, N; the data preprocessor's ``mean`` and ``std`` have as many values, and
            ``in_channels`` of the backbone is as large. Three are BGR. PNG and TIFF have up to four; a ``.npy`` file,
            (H, W, N), any number.

    Raises:
        ConfigError: ``value_range`` does not rise.
        DatasetError: ``img`` is of another shape or type.
        BadImageError: The file cannot be used, or isn't of the record's ``height`` and ``width``.
    """

    def __init__(
        self,
        max_pixels: Count = MAX_PIXELS,
        value_range: tuple[float, float] | Literal["image"] | None = None,
        backend_args: BackendArgs = None,
        channels: Count = 3,
    ):
        if value_range not in (None, "image") and not value_range[0] < value_range[1]:
            raise ConfigError(f"value_range is {value_range}; write the lower value first")
        self.max_pixels = max_pixels
        self.value_range = value_range
        self.backend_args = backend_args
        self.channels = channels

    def transform(self, results: dict) -> dict:
        """Set the keys above in ``results``."""
        if "img" not in results:
            results["img"] = self._read(results)
        image = results["img"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != self.channels:
            order = " in BGR order" if self.channels == 3 else ""
            raise DatasetError(f"img must be (H, W, {self.channels}) uint8{order}, got {image.shape} {image.dtype}")
        shape = image.shape[:2]
        for key in ("img_id", "img_path"):  # a lone picture has neither
            results.setdefault(key, None)
        results.update(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), flip=False, flip_direction=None)
        return results

    def _read(self, results: dict) -> np.ndarray:
        size = (results["height"], results["width"]) if "height" in results else None
        path = results["img_path"]
        return read_image(path, size, self.max_pixels, self.value_range, self.backend_args, self.channels)

    def __repr__(self) -> str:
        return f"LoadImageFromFile(max_pixels={self.max_pixels}, value_range={self.value_range})"
