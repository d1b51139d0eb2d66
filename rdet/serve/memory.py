"""Memory that was freed, given back to the system."""

import asyncio
import ctypes
from collections.abc import Callable


async def give_back(used: Callable[[], float], seconds: float = 10) -> None:
    """Have the system get back, now and then, what was freed since.

    The C library keeps it: each thread has a heap of its own, in which images of many sizes leave holes, so
    that a service grows for thousands of requests. glibc has a call to end that
    (https://man7.org/linux/man-pages/man3/malloc_trim.3.html); elsewhere nothing is done.

    Args:
        used: A number that grows with what is done; without that, nothing is.
        seconds: From one time to the next.
    """
    trim = _trim()
    before = used()
    while trim is not None:
        await asyncio.sleep(seconds)
        if (now := used()) != before:
            before = now
            await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # another C library
        return None
    return found
