"""One image as the network gets it.

G objects and I regions to ignore of an image.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from rdet.structures import DetDataSample
from rdet.visualization.canvas import as_rgb


@dataclass(frozen=True)
class Sample:
    """One image and its boxes, on the CPU.

    Attributes:
        inputs: (N, H, W), what goes to the data preprocessor, resized.
        data: Of the image.
    """

    inputs: Tensor
    data: DetDataSample

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        image = self.inputs.permute(1, 2, 0).numpy()
        return as_rgb(image[:, :, ::-1] if image.shape[2] == 3 else image)

    @property
    def boxes(self) -> np.ndarray:
        """(G, 4) xyxy in pixels of the input."""
        return self._of("gt_instances", "bboxes")

    @property
    def labels(self) -> np.ndarray:
        """(G,) int64."""
        return self._of("gt_instances", "labels")

    @property
    def ignored(self) -> np.ndarray:
        """(I, 4) xyxy."""
        return self._of("ignored_instances", "bboxes")

    def _of(self, instances: str, key: str) -> np.ndarray:
        if instances not in self.data:
            return np.empty((0, 4) if key == "bboxes" else 0, np.float32 if key == "bboxes" else np.int64)
        return self.data.get(instances)[key].numpy()
