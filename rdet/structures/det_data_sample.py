"""One image's annotations and detections."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from rdet.errors import MissingModuleError


class DetDataSample(BaseDataElement):
    """One image's meta information, ground truth and detections.

    Boxes are ``xyxy`` in pixels: of the network's input in ``gt_instances`` and
    ``ignored_instances``, of the original image in ``pred_instances``.

    Attributes:
        gt_instances (InstanceData): ``bboxes`` (G, 4) float32, ``labels`` (G,) int64.
        ignored_instances (InstanceData): ``bboxes`` (I, 4) float32 of crowds and difficult
            objects; what overlaps them is neither object nor background.
        pred_instances (InstanceData): ``bboxes`` (n, 4), ``scores`` (n,), ``labels`` (n,),
            best first.

    Meta information: ``img_id``, ``img_path``, ``ori_shape`` (h, w), ``img_shape`` (h, w) of the
    network's input before padding, ``scale_factor`` (w, h), ``flip``, ``flip_direction``.
    """

    def pin_memory(self) -> "DetDataSample":
        """Return it with all tensors in memory that a GPU reads while both work; a loader with ``pin_memory`` asks."""
        _pin(self)
        return self

    def to_supervision(self, classes: Sequence[str] | None = None, score_thr: float = 0.0) -> Any:
        """Make ``supervision.Detections`` of ``pred_instances``: for trackers, zones, annotators.

        Roboflow's package is MIT: ``pip install supervision``.

        Args:
            classes: Names, by label: ``model.classes``. With them, ``data["class_name"]`` is set.
            score_thr: Detections of a lower score are left out.

        Returns:
            Detections with ``xyxy`` (n, 4) in pixels of the image, ``confidence`` (n,), ``class_id`` (n,).

        Raises:
            MissingModuleError: The package is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise MissingModuleError(f"supervision cannot be imported ({error}); pip install supervision") from error
        found = self.pred_instances
        found = found[found.scores >= score_thr].cpu()
        labels = found.labels.numpy().astype(int)
        return supervision.Detections(
            xyxy=found.bboxes.float().numpy().reshape(-1, 4),
            confidence=found.scores.float().numpy(),
            class_id=labels,
            data={} if classes is None else {"class_name": np.array(classes, dtype=str)[labels]},
        )


def _pin(element: BaseDataElement) -> None:
    for name, value in element.items():
        if isinstance(value, BaseDataElement):
            _pin(value)
        elif isinstance(value, Tensor):
            element.set_field(value.pin_memory(), name)
