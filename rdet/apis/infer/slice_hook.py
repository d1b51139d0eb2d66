"""Evaluation in slices: ``rdet test --slice``."""

import copy

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from rdet.apis.infer.pipeline import inference_pipeline, prepared
from rdet.apis.infer.slicing import SlicedDetector
from rdet.structures import DetDataSample


class SliceTestHook(Hook):
    """Has a test detect in slices of each image, which is read again, instead of what the pipeline made of the whole.

    Args:
        slice_size, overlap, whole: See :class:`~rdet.apis.infer.slicing.SlicedDetector`.
    """

    priority = "LOWEST"  # after what puts another copy of the detector in its place

    def __init__(self, slice_size: int | tuple[int, int], overlap: float = 0.2, whole: bool = True):
        self._options = slice_size, overlap, whole

    def before_test_epoch(self, runner) -> None:
        """Put detection in slices in the place of the detector's ``test_step``."""
        model = runner.model
        while is_model_wrapper(model):
            model = model.module
        pipeline = inference_pipeline(runner.cfg, None)
        # A copy of the detector, with the same parts, keeps its own step.
        detector = SlicedDetector(copy.copy(model), *self._options, pipeline=pipeline)

        def test_step(data: dict) -> list[DetDataSample]:
            for sample in data["data_samples"]:
                height, width = sample.ori_shape
                record = {"img_id": sample.img_id, "img_path": sample.img_path, "height": height, "width": width}
                image = prepared(record, pipeline[:1])["img"]
                sample.pred_instances = detector.detect(image, sample.img_path).pred_instances
            return data["data_samples"]

        model.test_step = test_step
        self._model = model

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        """Give the detector its step back."""
        del self._model.test_step
