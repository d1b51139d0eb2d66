"""Leaving out boxes that are too small."""

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.registry import TRANSFORMS
from rdet.schema import NotNegative


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Leaves out boxes that are not wider and higher than a limit, as a resized or cropped image has them.

    Labels and ignore flags go with their boxes. An image that loses all of them stays, as background.

    Args:
        min_gt_bbox_wh: Width and height in pixels that a box has to exceed.
    """

    def __init__(self, min_gt_bbox_wh: tuple[NotNegative, NotNegative] = (1.0, 1.0)):
        self.min_gt_bbox_wh = tuple(min_gt_bbox_wh)

    def transform(self, results: dict) -> dict:
        """Shorten ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``."""
        if "gt_bboxes" in results:
            boxes = results["gt_bboxes"]  # (n, 4)
            kept = ((boxes[:, 2:] - boxes[:, :2]) > np.array(self.min_gt_bbox_wh)).all(axis=1)
            for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags"):
                results[key] = results[key][kept]
        return results

    def __repr__(self) -> str:
        return f"FilterAnnotations(min_gt_bbox_wh={self.min_gt_bbox_wh})"
