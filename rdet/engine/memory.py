"""How the process gets its memory on a CPU."""

import ctypes

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make the C library keep the memory of freed tensors for the next ones.

    By default glibc gives large blocks back to the system and gets zeroed pages for them anew, at
    each layer of each step and for each image that a loader's worker prepares. ``benchmarks/pipeline.py``
    and ``benchmarks/memory.py`` measure what it saves and what it costs.

    Returns:
        Whether the C library did so; one that is not glibc has no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl; Windows
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
