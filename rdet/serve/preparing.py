"""Uploads on their way to the network: decoded and prepared as the config says."""

from collections.abc import Callable

import numpy as np
from mmengine.config import Config

from rdet.apis.infer.pipeline import inference_pipeline, prepared
from rdet.apis.infer.shot import Shot
from rdet.datasets.images import MAX_PIXELS, decode_image
from rdet.errors import BadImageError
from rdet.serve.refusal import refusal_of
from rdet.serve.uploads import Upload


class Preparation:
    """Decodes images and applies the pipeline of a config's test data to them.

    Args:
        cfg: Of the model.
        max_pixels: Of an image; fewer, where the config's ``LoadImageFromFile`` takes fewer.
        max_size: Longer side of an image for the network in pixels, instead of the config's; None leaves that.
    """

    def __init__(self, cfg: Config, max_pixels: int, max_size: int | None = None):
        self._load, *self._steps = inference_pipeline(cfg, max_size)
        self._max_pixels = min(max_pixels, getattr(self._load, "max_pixels", MAX_PIXELS))

    def __call__(self, upload: Upload) -> Shot:
        """Prepare an image for the network.

        Raises:
            Refusal: It cannot be used.
            PipelineError: A transform failed.
        """
        image = self._decoded(upload, getattr(self._load, "channels", 3))
        record = {"img_id": 0, "img_path": upload.name, "img": image}
        packed = prepared(record, [self._load, *self._steps])
        return Shot(upload.name, upload.name, upload.name, packed=packed)

    def picture(self, upload: Upload) -> np.ndarray:
        """Decode an image to be drawn on: (H, W, 3) uint8 BGR.

        It is decoded again: what waits for the network holds no pixels besides the network's.
        """
        return self._decoded(upload, None)

    def _decoded(self, upload: Upload, channels: int | None) -> np.ndarray:
        value_range = getattr(self._load, "value_range", None)
        try:
            return decode_image(upload.data, upload.name, self._max_pixels, value_range, channels)
        except BadImageError as error:
            raise refusal_of(error, upload.data) from error


Prepare = Callable[[Upload], Shot]
