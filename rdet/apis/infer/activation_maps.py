"""Where in an image the score of a box came from, through the package grad-cam."""

import importlib
import importlib.util
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from rdet.errors import MissingModuleError
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.structures import DensePredictions

_PACKAGE = "pytorch_grad_cam"


def check_grad_cam() -> None:
    """Raise MissingModuleError if the package grad-cam is not installed, or cannot be imported."""
    if importlib.util.find_spec(_PACKAGE) is None:
        raise MissingModuleError("--explain needs the package grad-cam, which is not installed: pip install grad-cam")
    try:
        importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise MissingModuleError(
            f"--explain needs the package grad-cam, which cannot be imported ({error}): pip install grad-cam"
        ) from error


class _ScoresOfLevel(nn.Module):
    """Class logits (N, A, K) of an image whose maps are known, as a function of the map of one level."""

    def __init__(self, model: OneStageDetector, levels: list[Tensor], index: int):
        super().__init__()
        self.model = model
        self.levels = levels
        self.index = index
        self.map = nn.Identity()  # where grad-cam looks

    def forward(self, inputs: Tensor) -> Tensor:
        levels = [*self.levels]
        levels[self.index] = self.map(levels[self.index].detach().requires_grad_())
        predictions: DensePredictions = self.model.bbox_head(levels)
        return self.model.criterion.loss_cls.binary_logits(predictions.logits)


class ActivationMaps:
    """Heat maps of what the scores of boxes in one image depend on.

    A map is HiResCAM's (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations", 2020):
    gradient times activation, summed over channels, of the neck's map of the level whose prior gave the box. Grad-CAM
    averages the gradient over the map first, which for one prior of many marks all that looks like its object.

    Args:
        model: In the mode of evaluation.
        packed: One image, as the pipeline of inference packs it.
    """

    def __init__(self, model: OneStageDetector, packed: dict[str, Any]):
        self._model = model
        data = model.data_preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}, False)
        self._inputs: Tensor = data["inputs"]
        self._sample = data["data_samples"][0]
        with torch.no_grad():
            self._levels: list[Tensor] = list(model.neck(model.backbone(self._inputs)))
            self._predictions: DensePredictions = model.bbox_head(self._levels)
            self._priors = model.anchor_generator(self._predictions.level_sizes, self._inputs.device)
            logits = model.criterion.loss_cls.binary_logits(self._predictions.logits[0])
            self._scores = logits.sigmoid()  # (A, K)
            boxes = model.bbox_coder.decode(self._priors, self._predictions.deltas[0])
            height, width = self._sample.img_shape
            limit = boxes.new_tensor([width, height, width, height])
            self._boxes = torch.minimum(boxes.clamp(min=0), limit)  # (A, 4)

    def prior_of(self, box: np.ndarray, label: int) -> int:
        """Find the prior that gave a box: it predicts that place and that class best of all.

        Args:
            box: (4,) xyxy in pixels of the original image.
            label: Of its class.
        """
        factor = self._boxes.new_tensor(self._sample.scale_factor).repeat(2)
        place = self._boxes.new_tensor(np.asarray(box)) * factor
        overlap = box_iou(self._boxes, place[None])[:, 0]  # (A,)
        return int((overlap * self._scores[:, label]).argmax())

    def of_box(self, box: np.ndarray, label: int) -> np.ndarray:
        """Compute the map of one box.

        Args:
            box: (4,) xyxy in pixels of the original image.
            label: Of its class.

        Returns:
            (H, W) float32 in [0, 1], in pixels of the original image.
        """
        from pytorch_grad_cam import HiResCAM

        prior = self.prior_of(box, label)
        ends = np.cumsum(self._predictions.level_lengths)
        scorer = _ScoresOfLevel(self._model, self._levels, int(np.searchsorted(ends, prior, side="right")))
        scorer.eval()
        with torch.enable_grad(), HiResCAM(model=scorer, target_layers=[scorer.map]) as cam:
            (heat,) = cam(input_tensor=self._inputs, targets=[lambda logits: logits[prior, label]])
        height, width = self._sample.img_shape
        size = self._sample.ori_shape[1], self._sample.ori_shape[0]
        return cv2.resize(np.asarray(heat, np.float32)[:height, :width], size).clip(0, 1)
