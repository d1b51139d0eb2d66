"""One image's annotations and detections."""

from mmengine.structures import BaseDataElement


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
