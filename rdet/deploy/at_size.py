"""A detector on images that are filled up to one size, as a file of one size sees them."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.structures import DetDataSample


@torch.no_grad()
def detect_at_size(model: OneStageDetector, data: dict[str, Any], size: Sequence[int] | None) -> list[DetDataSample]:
    """Detect as ``test_step`` does, with images that are filled up with zeros to a size: what a file of one size does.

    Args:
        model: The detector.
        data: ``inputs`` and ``data_samples`` of N images.
        size: Height and width; None: of each image as ``test_step`` has it.
    """
    data = {"inputs": list(data["inputs"]), "data_samples": [sample.clone() for sample in data["data_samples"]]}
    if size is None:
        return model.test_step(data)
    ready = model.data_preprocessor(data)
    inputs: Tensor = ready["inputs"]
    rows, columns = (wanted - side for wanted, side in zip(size, inputs.shape[2:], strict=True))
    inputs = F.pad(inputs, (0, columns, 0, rows)).contiguous(memory_format=torch.channels_last)
    return model(inputs, ready["data_samples"], mode="predict")
