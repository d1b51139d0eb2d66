"""One image's annotations and detections."""

from mmengine.structures import BaseDataElement
from torch import Tensor


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


def _pin(element: BaseDataElement) -> None:
    for name, value in element.items():
        if isinstance(value, BaseDataElement):
            _pin(value)
        elif isinstance(value, Tensor):
            element.set_field(value.pin_memory(), name)
