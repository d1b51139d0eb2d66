"""What is said of a transform that fails."""

from rdet.errors import PipelineError
from rdet.messages import printable

_LONGEST = 500  # characters of what others say


def failed_at(path: str | None, what: str, error: Exception) -> PipelineError:
    """Return the error to raise: which image, what failed, what it said, in one line."""
    said = printable(" ".join(str(error).split()))[:_LONGEST]
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return PipelineError(f"{path}: {what} failed: {reason}; repair the transform, or remove the image")
