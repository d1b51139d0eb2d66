"""Pictures of what the scores of the best boxes depend on."""

from pathlib import Path

import cv2
import numpy as np

from rdet.apis.infer.activation_maps import ActivationMaps
from rdet.apis.infer.shot import Found
from rdet.apis.infer.writers.base import Writer
from rdet.models.detectors.one_stage_detector import OneStageDetector, made_of_parts
from rdet.visualization.draw import draw_boxes, save_image

_SHARE = 0.55  # of the heat map in the picture, where it is hottest


class ExplanationWriter(Writer):
    """Writes ``explained/STEM_1.jpg`` and so on: the best boxes of each image, each over the heat map of its score.

    Args:
        out_dir: Where they go.
        model: Which found the boxes.
        most: How many boxes of an image.
    """

    needs_images = True

    def __init__(self, out_dir: Path, model: OneStageDetector, most: int):
        self._out_dir = out_dir / "explained"
        self._model = made_of_parts(model, "--explain")
        self._most = most

    def add(self, found: Found) -> None:
        """Write the pictures of an image, unless it is a frame of a video."""
        if found.shot.frame is not None or found.shot.packed is None or not len(found.scores):
            return
        maps = ActivationMaps(self._model, found.shot.packed)
        best = np.argsort(-found.scores, kind="stable")[: self._most]
        for rank, index in enumerate(best, start=1):
            heat = maps.of_box(found.boxes[index], int(found.labels[index]))
            one = slice(index, index + 1)
            picture = draw_boxes(
                heated(found.rgb, heat), found.boxes[one], found.labels[one], self._model.classes, found.scores[one]
            )
            save_image(self._out_dir / f"{found.shot.stem}_{rank}.jpg", picture)


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a heat map over a picture; where it is cold, the picture is grey and stays as bright as it is.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (H, W) in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colors = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    share = _SHARE * heat[..., None]
    return ((1 - share) * grey + share * colors).round().astype(np.uint8)
