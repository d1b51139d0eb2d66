"""Whether a CUDA graph is being recorded, which what is recorded may have to know."""

from collections.abc import Iterator
from contextlib import contextmanager

_is_recording = False


def is_recording() -> bool:
    """Tell whether what runs now will be replayed: it must compute anew what may change, and may be of many kernels."""
    return _is_recording


@contextmanager
def recording() -> Iterator[None]:
    """Say inside that a CUDA graph is being recorded, or that what is to be recorded is tried."""
    global _is_recording
    before, _is_recording = _is_recording, True
    try:
        yield
    finally:
        _is_recording = before
