"""Detection in slices of large images, whose small objects a network sees too small otherwise.

Akyon, Altinuc and Temizel, "Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection", ICIP 2022.
"""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from rdet.apis.infer.pictures import Picture, is_picture, record_of
from rdet.apis.infer.pipeline import Transforms, inference_pipeline, prepared
from rdet.apis.infer.slices import Slice, merge_slices, slices_of
from rdet.errors import ConfigError
from rdet.models.detectors.detector import Detector
from rdet.structures import DetDataSample


class SlicedDetector:
    """Detects in overlapping slices of an image and in the whole, and merges what is found.

    A slice goes through the pipeline of the test data as an image of its size would. The model's own suppression makes
    one box of the several that slices find of an object; see :func:`~rdet.apis.infer.slices.merge_slices` for boxes
    that a border cuts. An image may have ``max_per_img`` detections a slice.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        slice_size: Height and width of a slice in pixels of the image; one number for both.
        overlap: Of neighbours, as a fraction of a slice; objects that are smaller are whole in one of them.
        whole: Whether the whole image is one more view, in which large objects are found.
        batch_size: Slices that run together.
        pipeline: Transforms of the test data; None: those of ``model.cfg``.

    Raises:
        ConfigError: A number has no meaning.
    """

    def __init__(
        self,
        model: Detector,
        slice_size: int | tuple[int, int],
        overlap: float = 0.2,
        whole: bool = True,
        batch_size: int = 1,
        pipeline: Transforms | None = None,
    ):
        self.size = (slice_size, slice_size) if isinstance(slice_size, int) else tuple(slice_size)
        if len(self.size) != 2 or min(self.size) < 1 or not 0 <= overlap <= 0.9 or batch_size < 1:
            raise ConfigError(
                f"slice_size {slice_size}, overlap {overlap}, batch_size {batch_size}: a slice has 1 or more pixels, "
                "an overlap is from 0 to 0.9, and a batch has 1 or more slices"
            )
        self.model = model
        self.overlap = overlap
        self.whole = whole
        self.batch_size = batch_size
        self._pipeline = inference_pipeline(model.cfg) if pipeline is None else pipeline

    def detect(self, image: np.ndarray, name: str | None = None) -> DetDataSample:
        """Detect in one image.

        Args:
            image: (H, W, C) uint8, of three channels BGR.
            name: Of the image, for messages.

        Returns:
            A sample with ``pred_instances`` in pixels of the image, ``ori_shape`` and ``img_path``.
        """
        height, width = image.shape[:2]
        slices = slices_of(height, width, self.size, self.overlap)
        views = slices if len(slices) == 1 or not self.whole else [*slices, Slice(0, 0, width, height)]
        found: list[InstanceData] = []
        for samples in self._samples(image, views, name):
            found += [sample.pred_instances for sample in samples]
        merged = merge_slices(found, views, (height, width), self._suppression(len(views)))
        sample = DetDataSample(metainfo={"img_path": name, "ori_shape": (height, width), "img_shape": (height, width)})
        sample.pred_instances = merged
        return sample

    def _samples(self, image: np.ndarray, views: Sequence[Slice], name: str | None) -> Iterator[list[DetDataSample]]:
        """Yield the samples of a batch of views after the other; slices first, which are of one size."""
        for start in range(0, len(views), self.batch_size):
            records = [
                {"img_id": index, "img_path": name, "img": np.ascontiguousarray(image[view.rows, view.columns])}
                for index, view in enumerate(views[start : start + self.batch_size], start=start)
            ]
            data = pseudo_collate([prepared(record, self._pipeline) for record in records])
            with torch.no_grad():
                yield self.model.test_step(data)

    def _suppression(self, num_views: int):
        """Return the model's suppression, for the detections of several views."""
        postprocess = copy.copy(self.model.postprocess)
        postprocess.max_per_img *= num_views
        return postprocess


def inference_detector_sliced(
    model: Detector,
    images: Picture | Sequence[Picture],
    slice_size: int | tuple[int, int],
    overlap: float = 0.2,
    whole: bool = True,
    batch_size: int = 1,
) -> DetDataSample | list[DetDataSample]:
    """Detect objects in slices of one image or several; as :func:`~rdet.apis.inference.inference_detector` otherwise.

    Args:
        model, images: See :func:`~rdet.apis.inference.inference_detector`.
        slice_size, overlap, whole, batch_size: See :class:`SlicedDetector`.
    """
    single = is_picture(images)
    detector = SlicedDetector(model, slice_size, overlap, whole, batch_size)
    load = detector._pipeline[:1]
    samples = []
    for index, image in enumerate([images] if single else images):
        record = prepared(record_of(image, index), load)
        samples.append(detector.detect(record["img"], record.get("img_path")))
    return samples[0] if single else samples
