"""Test-time augmentation: one result from several views of an image."""

from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor

from rdet.errors import ConfigError
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.registry import MODELS
from rdet.structures import DetDataSample


@MODELS.register_module()
class DetTTAModel(BaseTTAModel):
    """A detector that looks at several views of an image and merges what it found, in pixels of the original.

    Views are what ``TestTimeAug`` makes: resized (``scale_factor``) and flipped (``flip``,
    ``flip_direction``). Weights load and save under the detector's names.

    Args:
        module: The detector.
        postprocess: Its ``merge_views`` merges the detections of all views, the best ``max_per_img``
            of which stay. Default is that of the detector.

    Raises:
        ConfigError: The postprocess is none of rdet's kind.
    """

    def __init__(self, module: OneStageDetector, postprocess: DensePostprocess | None = None):
        super().__init__(module)
        self.postprocess = module.postprocess if postprocess is None else postprocess
        if not isinstance(self.postprocess, DensePostprocess):
            raise ConfigError(
                f"{type(self.postprocess).__name__} does not derive from DensePostprocess, which merges views; "
                "set tta_model=dict(type='DetTTAModel', postprocess=dict(type='NMSPostprocess'))"
            )

    @torch.no_grad()
    def merge_preds(self, data_samples_list: list[tuple[DetDataSample, ...]]) -> list[DetDataSample]:
        """Merge the views of each image, with ``pred_instances``, into one sample, in pixels of the original image."""
        return [self._merge(views) for views in data_samples_list]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return the weights of the detector, under its own names."""
        weights: dict[str, Tensor] = self.module.state_dict(*args, **kwargs)
        return weights

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load weights of the detector."""
        return self.module.load_state_dict(*args, **kwargs)

    def _merge(self, views: tuple[DetDataSample, ...]) -> DetDataSample:
        boxes, scores, labels = self.postprocess.merge_views(
            torch.cat([unflip(view.pred_instances.bboxes, view) for view in views]),
            torch.cat([view.pred_instances.scores for view in views]),
            torch.cat([view.pred_instances.labels for view in views]),
            num_views=len(views),
        )
        first = views[0]
        merged = DetDataSample(metainfo=first.metainfo)
        merged.set_metainfo(
            {"img_shape": first.ori_shape, "scale_factor": (1.0, 1.0), "flip": False, "flip_direction": None}
        )
        for name in ("gt_instances", "ignored_instances"):
            if name in first:
                truth = first.get(name)
                bboxes = unflip(truth.bboxes / truth.bboxes.new_tensor(first.scale_factor).repeat(2), first)
                merged.set_field(InstanceData(bboxes=bboxes, labels=truth.labels), name)
        merged.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)[: self.postprocess.max_per_img]
        return merged


def unflip(boxes: Tensor, view: DetDataSample) -> Tensor:
    """Undo a view's flip of boxes (n, 4), which are in pixels of the original size."""
    if not view.flip:
        return boxes
    height, width = view.ori_shape
    boxes = boxes.clone()
    if view.flip_direction in ("horizontal", "diagonal"):
        boxes[:, 0::2] = width - boxes[:, [2, 0]]
    if view.flip_direction in ("vertical", "diagonal"):
        boxes[:, 1::2] = height - boxes[:, [3, 1]]
    return boxes
