"""Fetching a file once, whole and checked."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from mmengine.logging import print_log

from rdet.errors import CheckpointError, DownloadError
from rdet.files import writing

_BLOCK = 1 << 20
_TRIES = 5  # that add nothing, one after the other
_TIMEOUT = 30  # seconds without a byte


def fetch(address: str, algorithm: str, checksum: str, folder: str | Path | None = None) -> Path:
    """Download a file unless it is there, and check it.

    A transfer that broke off goes on where it was, in this call or the next, if the server can do that. Several
    processes may ask for the same file; one of them downloads it.

    Args:
        address: ``http(s)://``; its last part is the name of the file.
        algorithm: ``'sha256'`` or ``'md5'``.
        checksum: First hexadecimal digits of the file's checksum.
        folder: Where the file goes; default: torch's folder, ``$TORCH_HOME/hub/checkpoints``.

    Returns:
        The file's path.

    Raises:
        DownloadError: It cannot be downloaded.
        CheckpointError: The file is not what the checksum says.
    """
    folder = Path(folder or Path(torch.hub.get_dir()) / "checkpoints")
    path = folder / address.rpartition("/")[2]
    if path.is_file():
        _check(path, algorithm, checksum, f"delete {path} to download it again")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with _alone(path.with_name(f"{path.name}.lock")):
        if not path.is_file():
            print_log(f"downloading {address} to {path}", "current")
            continued = part.exists()
            _complete(part, address, path)
            if continued and not _fits(part, algorithm, checksum):  # the beginning was another file's
                part.unlink()
                _complete(part, address, path)
            try:
                _check(part, algorithm, checksum, "it was deleted; try again")
            except CheckpointError:
                part.unlink()
                raise
            os.replace(part, path)
    return path


def _complete(part: Path, address: str, path: Path) -> None:
    """Download what is missing of ``part``."""
    failed = 0
    while failed < _TRIES:
        before = _size(part)
        try:
            if _transfer(part, address):
                return
            reason = "the transfer broke off"
        except HTTPError as error:
            reason = f"{error.code} {error.reason}"
            break
        except URLError as error:
            reason = str(error.reason)
            break
        except (OSError, HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
        failed = 0 if _size(part) > before else failed + 1
    kept = f"; {_size(part)} bytes are kept and used the next time" if _size(part) else ""
    raise DownloadError(f"cannot download {address} ({reason}{kept}); put the file at {path} by hand")


def _transfer(part: Path, address: str) -> bool:
    """Download once, from where ``part`` ends. Return whether all came."""
    start = _size(part)
    headers = {"User-Agent": "rdet"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(address, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        if not start or error.code != 416:
            raise
        # Nothing lies behind the end: either it is all there, which the checksum tells, or it is too much.
        return True
    with response:
        if start and response.status != 206:  # a server that cannot continue sends all
            start = 0
        length = response.headers.get("Content-Length")
        with writing(part), open(part, "ab" if start else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
    return length is None or _size(part) == start + int(length)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process in at a time."""
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _fits(path: Path, algorithm: str, checksum: str) -> bool:
    return _digest(path, algorithm).startswith(checksum)


def _check(path: Path, algorithm: str, checksum: str, remedy: str) -> None:
    """Raise CheckpointError if the file is not what it should be."""
    digest = _digest(path, algorithm)
    if not digest.startswith(checksum):
        raise CheckpointError(
            f"{path} is not the released file: its {algorithm} begins with {digest[: len(checksum)]}, not with "
            f"{checksum}; {remedy}"
        )
