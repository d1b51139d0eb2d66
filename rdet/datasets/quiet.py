"""Image decoders that keep what they have to say to themselves.

libpng, libjpeg and OpenCV write to standard error whenever a file is not perfect, also where the picture is fine.
What is wrong with a picture is rdet's to say.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator

# How the decoders begin, and what Python prints of a warning of Pillow.
_SPEECH = re.compile(
    rb"libpng |lib?jpeg|Corrupt JPEG|Premature end of JPEG|Inconsistent progression|Invalid SOS|Unknown Adobe|"
    rb"Warning: unknown JFIF|Unsupported marker|TIFF\w*: |\[ ?(WARN|INFO|ERROR|FATAL)[:@]|"
    rb".*PIL.*Warning: |  warnings\.warn\(|\s*$"
)
_LONGEST = 2**20  # bytes that are kept before the buffer is cleared


class _Sink:
    """A buffer in place of the standard error while any thread decodes; other words are passed on."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._stderr = -1  # where it was
        self._buffer = -1
        self._read = 0  # bytes of the buffer that were looked at

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                if self._buffer < 0:
                    self._buffer = os.memfd_create("decoders")
                self._stderr = os.dup(2)
                os.dup2(self._buffer, 2)
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                os.dup2(self._stderr, 2)
                os.close(self._stderr)
            if os.fstat(self._buffer).st_size > self._read:
                self._pass_on(2 if not self._users else self._stderr)

    def _pass_on(self, target: int) -> None:
        said = os.pread(self._buffer, _LONGEST, self._read)
        self._read += len(said)
        others = b"".join(line for line in said.splitlines(keepends=True) if not _SPEECH.match(line))
        if others:
            os.write(target, others)
        if self._read > _LONGEST and not self._users:
            os.ftruncate(self._buffer, 0)
            os.lseek(self._buffer, 0, os.SEEK_SET)
            self._read = 0

    def after_fork(self) -> None:
        """Begin anew in a child, which would share the buffer with its parent."""
        if self._users:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
        if self._buffer >= 0:
            os.close(self._buffer)
        self._forget()


_sink = _Sink()
_POSSIBLE = hasattr(os, "memfd_create")
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sink.after_fork)


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Hide what image decoders write to standard error meanwhile; what others write comes after it.

    Only on Linux; elsewhere, and where the standard error is closed, nothing changes.
    """
    hidden = _POSSIBLE
    try:
        if hidden:
            _sink.begin()
    except OSError:
        hidden = False
    try:
        yield
    finally:
        if hidden:
            _sink.end()
