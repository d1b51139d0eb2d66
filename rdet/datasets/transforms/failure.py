"""What is said of a transform that fails."""

from rdet.errors import PipelineError, is_of_memory
from rdet.messages import printable

_LONGEST = 500  # characters of what others say


def failed_at(path: str | None, what: str, error: Exception) -> PipelineError:
    """Return the error to raise: which image, what failed, what it said, in one line."""
    said = printable(" ".join(str(error).split()))[:_LONGEST]
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    remedy = (
        "lower the size of images, or num_workers"
        if is_of_memory(error)
        else "repair the transform, or remove the image"
    )
    return PipelineError(f"{path}: {what} failed: {reason}; {remedy}")
