"""Making a trained detector ready for nothing but inference."""

import torch
from torch import nn


@torch.no_grad()
def optimize_for_inference(detector: nn.Module, dtype: torch.dtype | None = None) -> None:
    """Change a detector for good, so that it detects faster; it can no longer be trained or loaded into.

    Batch normalisation becomes part of the backbone's convolutions where the backbone can tell which
    belong together, which rounds differently in the last digits. ShuffleNetV2 does without its shuffles where
    the neck can take its maps so. With a ``dtype`` the network runs in
    mixed precision (autocast), and the weights that autocast would cast at every call are cast once;
    a backbone or head with ``autocast=False`` stays as it is. Boxes and scores are float32 in any case.

    Args:
        detector: With its weights, on the device where it shall run.
        dtype: ``torch.bfloat16``, or ``torch.float16`` on a GPU; None keeps float32.
    """
    detector.eval().requires_grad_(False)
    parts = [getattr(detector, slot, None) for slot in ("backbone", "neck", "bbox_head")]
    fold_norms = getattr(parts[0], "fold_norms", None)
    if fold_norms is not None:
        fold_norms()
    unshuffle, take_in_order = getattr(parts[0], "unshuffle", None), getattr(parts[1], "take_in_order", None)
    if unshuffle is not None and take_in_order is not None:
        take_in_order(unshuffle())
    if dtype is None:
        return
    for part in parts:
        if part is not None and getattr(part, "autocast", True):
            for module in part.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.to(dtype)
    device = next(detector.parameters()).device
    detector.forward = torch.autocast(device.type, dtype=dtype)(detector.forward)
