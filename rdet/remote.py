"""Files that are not on the disk by themselves: in an archive, on http, or wherever mmengine's ``fileio`` reads."""

import io
import os
import posixpath
import re
from concurrent.futures import Future
from http.client import HTTPException
from threading import Thread
from time import monotonic
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from mmengine.fileio import HTTPBackend, LocalBackend, get_file_backend

from rdet.archives import ArchiveBackend
from rdet.errors import IrregularFileError
from rdet.files import open_regular
from rdet.messages import in_one_line

_ADDRESS = re.compile(r"(?:\w+:)?\w+://")
_TIMEOUT = 30  # seconds without a byte
_LONGEST = 300  # seconds for a whole file, which a server that sends a byte now and then would never end
_PIECE = 2**16  # bytes

BackendArgs = dict[str, Any] | None


def is_address(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is an address: ``http://...``, ``zip://...``."""
    return _ADDRESS.match(str(path)) is not None


def join(folder: str, name: str) -> str:
    """Join a name to a folder or to an address, without what leads to the folder itself."""
    if not is_address(folder):
        return os.path.join(folder, name)
    return f"{folder.rstrip('/')}/{name}".rstrip("/") if name not in ("", ".") else folder


def is_remote_folder(path: str) -> bool:
    """Tell whether an address is called as a folder is, which cannot be listed there."""
    return is_address(path) and not posixpath.splitext(path.rpartition("/")[2])[1]


def leads_out(name: str) -> bool:
    """Tell whether a name leads out of any address that it is joined to."""
    return name.startswith("/") or "\\" in name or is_address(name) or posixpath.normpath(name).startswith("..")


def open_file(path: str | os.PathLike[str], most: int | None = None, backend_args: BackendArgs = None) -> BinaryIO:
    """Open a file to read bytes, wherever it is.

    Args:
        path: A path, or an address.
        most: Of what is not on the disk, no more than one byte beyond these is read.
        backend_args: For :func:`mmengine.fileio.get_file_backend`; None: as the address says.

    Raises:
        IrregularFileError: It is something else than a file.
        OSError: It cannot be read; its ``strerror`` says why.
    """
    if not is_address(path) and not backend_args:
        return open_regular(path)
    backend = _backend(str(path), backend_args)
    if isinstance(backend, LocalBackend):
        return open_regular(path)
    if isinstance(backend, ArchiveBackend):
        return io.BytesIO(backend.get(str(path), most))
    if isinstance(backend, HTTPBackend):
        return io.BytesIO(_get_http(str(path), most))
    try:
        return io.BytesIO(backend.get(path))
    except OSError:
        raise
    except Exception as error:  # of whatever client
        raise OSError(0, in_one_line(f"{type(error).__name__}: {' '.join(str(error).split())}")) from error


def _backend(path: str, backend_args: BackendArgs) -> Any:
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except KeyError as error:
        raise IrregularFileError(f"mmengine has no backend {error}") from error
    except (ImportError, TypeError, ValueError, AssertionError) as error:
        raise IrregularFileError(f"backend_args cannot be used: {in_one_line(error)}") from error


def _get_http(address: str, most: int | None) -> bytes:
    """Read in a thread of its own: a server may be slow in each step, from the name to the last byte."""
    content: Future[bytes] = Future()

    def fetch() -> None:
        try:
            content.set_result(_fetched(address, most, monotonic() + _LONGEST))
        except BaseException as error:
            content.set_exception(error)

    Thread(target=fetch, daemon=True).start()
    try:
        return content.result(_LONGEST)
    except TimeoutError as error:
        if content.done():
            raise OSError(0, f"the server sent nothing for {_TIMEOUT} seconds") from error
        raise OSError(0, f"it took over {_LONGEST} seconds") from error


def _fetched(address: str, most: int | None, until: float) -> bytes:
    try:
        with urlopen(address, timeout=_TIMEOUT) as answer:
            data = bytearray()
            while most is None or len(data) <= most:
                piece = answer.read1(_PIECE if most is None else min(_PIECE, most + 1 - len(data)))
                if not piece:
                    break
                data += piece
                if monotonic() > until:  # whoever asked has gone on
                    raise OSError(0, f"it took over {_LONGEST} seconds")
            missing = getattr(answer, "length", None)  # none after a redirection to ftp
            if missing and (most is None or len(data) <= most):
                raise OSError(0, f"the connection ended {missing} bytes too early")
            return bytes(data)
    except HTTPError as error:
        if error.code in (404, 410):
            raise FileNotFoundError(2, "the server has no such file", address) from error
        raise OSError(0, f"the server says {error.code} {error.reason}") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        raise OSError(0, str(error.reason)) from error
    except (HTTPException, ValueError) as error:
        raise OSError(0, f"{type(error).__name__}: {error}") from error


def exists(path: str) -> bool:
    """Tell whether a file at an address is there; of what only asking for it tells, it is taken to be."""
    backend = _backend(path, None)
    try:
        return backend.exists(path) if isinstance(backend, ArchiveBackend) else True
    except OSError:
        return False
