"""A detector for SAHI, which slices large images in its own way (MIT; ``pip install sahi``).

rdet slices by itself, too: :mod:`rdet.apis.infer.slicing`.
"""

import copy
from typing import Any

import numpy as np

from rdet.apis.infer.pipeline import inference_pipeline, prepared
from rdet.apis.inference import init_detector
from rdet.errors import MissingModuleError

try:
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction
except ImportError as missing:
    raise MissingModuleError(f"sahi cannot be imported ({missing}); pip install sahi") from missing


class RdetDetectionModel(DetectionModel):  # type: ignore[misc,unused-ignore]  # sahi may be absent, and has no types
    """What ``sahi.predict.get_sliced_prediction`` runs.

    ``RdetDetectionModel(model_path="epoch_12.pth", confidence_threshold=0.3)``, or ``model=`` a detector that is built.
    ``config_path`` may be None where the checkpoint carries its config; ``image_size`` is the longer side of a slice in
    the network, instead of the config's.
    """

    category_mapping: dict[str, str] | None

    def load_model(self) -> None:
        """Build the detector from ``config_path`` and ``model_path``."""
        self.set_model(init_detector(self.config_path, self.model_path, str(self.device)))

    def set_model(self, model: Any, **kwargs: Any) -> None:
        """Take a detector that is built."""
        self.model = model
        self._pipeline = inference_pipeline(model.cfg, self.image_size)
        if self.category_mapping is None:
            self.category_mapping = {str(label): name for label, name in enumerate(model.classes)}

    @property
    def num_categories(self) -> int:
        """Count the classes."""
        return len(self.category_names)

    @property
    def has_mask(self) -> bool:
        """Tell that there are boxes alone."""
        return False

    @property
    def category_names(self) -> list[str]:
        """List the names of the classes."""
        return list((self.category_mapping or {}).values())

    def perform_inference(self, image: np.ndarray) -> None:
        """Detect in one slice, (H, W, 3) uint8 RGB."""
        self.perform_batch_inference([image])

    def perform_batch_inference(self, images: list[np.ndarray]) -> None:
        """Detect in slices, those of one size together."""
        import torch
        from mmengine.dataset import pseudo_collate

        records = [{"img_id": i, "img": np.ascontiguousarray(image[:, :, ::-1])} for i, image in enumerate(images)]
        with torch.no_grad():
            data = pseudo_collate([prepared(record, self._pipeline) for record in records])
            self._original_predictions = self.model.test_step(data)
        self._original_shapes = [image.shape for image in images]

    def _create_object_prediction_list_from_original_predictions(
        self,
        shift_amount_list: list[list[int | float]] | None = None,
        full_shape_list: list[list[int | float]] | None = None,
    ) -> None:
        """Make SAHI's predictions of the samples; one shift or shape may stand for all, as SAHI gives it."""
        samples = self._original_predictions
        shifts = _of_each(shift_amount_list or [0, 0], len(samples))
        shapes = [None] * len(samples) if full_shape_list is None else _of_each(full_shape_list, len(samples))
        names = self.category_names
        self._object_prediction_list_per_image = []
        for sample, shift, shape in zip(samples, shifts, shapes, strict=True):
            found = sample.pred_instances
            found = found[found.scores >= self.confidence_threshold].cpu()
            columns = found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist()
            self._object_prediction_list_per_image.append(
                [
                    ObjectPrediction(
                        bbox=[max(0.0, corner) for corner in box],
                        category_id=label,
                        category_name=names[label],
                        score=score,
                        shift_amount=copy.copy(shift),
                        full_shape=shape,
                    )
                    for box, score, label in zip(*columns, strict=True)
                    if box[2] > box[0] and box[3] > box[1]
                ]
            )


def _of_each(values: Any, number: int) -> list[Any]:
    """Return one of each image: of ``[x, y]`` that one, ``number`` times."""
    several = list(values) if isinstance(values[0], list | tuple) else [list(values)]
    return several * number if len(several) == 1 else several
