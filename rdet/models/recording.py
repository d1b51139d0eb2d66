"""Whether a CUDA graph is being recorded, which what is recorded may have to know."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()  # another thread may use another detector meanwhile


def is_recording() -> bool:
    """Tell whether what runs now will be replayed: it must compute anew what may change, and may be of many kernels."""
    return getattr(_here, "is_recording", False)


@contextmanager
def recording() -> Iterator[None]:
    """Say inside that a CUDA graph is being recorded, or that what is to be recorded is tried."""
    before = is_recording()
    _here.is_recording = True
    try:
        yield
    finally:
        _here.is_recording = before
