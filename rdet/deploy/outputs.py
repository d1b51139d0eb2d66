"""Whether the outputs of a file are what it says of itself."""

from collections.abc import Mapping

import numpy as np

from rdet.deploy.metadata import Metadata
from rdet.errors import CheckpointError

_NUMBERS = {"labels": "i", "counts": "i", "level_sizes": "i"}  # kinds of numpy; the others are "f"


def check_outputs(outputs: Mapping[str, np.ndarray], metadata: Metadata, batch: int, path: str) -> None:
    """Raise CheckpointError unless outputs can be read as detections, whatever made the file.

    Args:
        outputs: Name -> array.
        metadata: What the file says of itself.
        batch: Images that it was given.
        path: The file, for messages.
    """
    classes = len(metadata.classes)
    first = outputs["logits" if metadata.head == "raw" else "scores"]
    rows = first.shape[:2]  # images, and boxes of each
    wanted: dict[str, tuple[int | None, ...]] = {
        "boxes": (*rows, 4),
        "scores": rows,
        "labels": rows,
        "counts": rows[:1],
        "logits": (*rows, classes),
        "deltas": (*rows, None),
        "quality": rows,
        "level_sizes": (None, 2),
    }
    for name, array in outputs.items():
        shape = wanted[name]
        fits = array.ndim == len(shape) and all(
            size in (None, side) for side, size in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype.kind != _NUMBERS.get(name, "f") or len(first) != batch:
            raise CheckpointError(f"{path} gives {name} of {array.dtype} {array.shape}; export it again")
    for name, values, end in (
        ("labels", outputs.get("labels"), classes),
        ("counts", outputs.get("counts"), rows[1] + 1),
    ):
        if values is not None and values.size and not (values.min() >= -1 and values.max() < end):
            raise CheckpointError(
                f"{path} gives {name} from {values.min()} to {values.max()}, and says {end - 1} is the last; export it "
                "again"
            )
    if "level_sizes" in outputs and not _fits(outputs["level_sizes"], rows[1]):
        raise CheckpointError(f"{path} gives level_sizes that are not of {rows[1]} predictions; export it again")


def _fits(sizes: np.ndarray, predictions: int) -> bool:
    """Tell whether levels, heights and widths (L, 2), have no more cells than there are predictions."""
    if not len(sizes) or sizes.min() < 1 or sizes.max() > predictions:
        return False
    return int(sizes.astype(object).prod(axis=1).sum()) <= predictions
