"""Loading the image of a record."""

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.images import read_image
from rdet.errors import BadImageError, DatasetError
from rdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Reads ``img_path``, or takes the array that ``img`` already holds.

    Sets ``img`` (H, W, 3) uint8 BGR, ``ori_shape`` and ``img_shape`` (H, W), and what the picture
    has been through so far: ``scale_factor`` (1, 1), ``flip`` False, ``flip_direction`` None.

    Raises:
        DatasetError: ``img`` is of another shape or type.
        BadImageError: The file cannot be used, or isn't of the record's ``height`` and ``width``.
    """

    def transform(self, results: dict) -> dict:
        """Set the keys above in ``results``."""
        if "img" not in results:
            results["img"] = self._read(results)
        image = results["img"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DatasetError(f"img must be (H, W, 3) uint8 in BGR order, got {image.shape} {image.dtype}")
        shape = image.shape[:2]
        for key in ("img_id", "img_path"):  # a lone picture has neither
            results.setdefault(key, None)
        results.update(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), flip=False, flip_direction=None)
        return results

    @staticmethod
    def _read(results: dict):
        if "height" not in results:
            return read_image(results["img_path"])
        try:
            return read_image(results["img_path"], (results["height"], results["width"]))
        except BadImageError as error:
            remedy = "check data_root and data_prefix['img']" if error.reason == "missing" else "mend it"
            remedy += ", or set on_bad_image='skip' on the data set to leave such images out"
            raise BadImageError(f"{error}; {remedy}", error.reason) from error

    def __repr__(self) -> str:
        return "LoadImageFromFile()"
