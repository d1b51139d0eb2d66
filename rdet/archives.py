"""Files in a zip or a tar, not unpacked: ``zip://data/images.zip/a.jpg``, ``tar:///data/images.tar/a.jpg``."""

import os
import tarfile
import threading
import zipfile
from typing import NamedTuple

from mmengine.fileio import BaseStorageBackend, register_backend

from rdet.errors import IrregularFileError
from rdet.files import open_regular
from rdet.messages import in_one_line

_ENDINGS = {"zip": (".zip",), "tar": (".tar",)}
_PACKED = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


class _Archive:
    """An open archive; threads take turns."""

    def __init__(self, path: str, kind: str):
        self.lock = threading.Lock()
        self._file = open_regular(path)
        try:
            if kind == "zip":
                self._zip = zipfile.ZipFile(self._file)
                self.sizes = {info.filename: info.file_size for info in self._zip.infolist() if not info.is_dir()}
            else:
                # Nothing but plain files: a link in an archive may lead anywhere.
                with tarfile.open(fileobj=self._file, mode="r:") as tar:
                    plain = [member for member in tar if member.isreg() and not member.issparse()]
                self._offsets = {m.name.removeprefix("./"): (m.offset_data, m.size) for m in plain}
                self.sizes = {name: size for name, (_, size) in self._offsets.items()}
        except Exception as error:  # Python's readers raise whatever comes of damaged bytes
            self._file.close()
            if isinstance(error, OSError):
                raise
            raise OSError(0, f"{os.path.basename(path)} is no {kind} archive: {in_one_line(error)}") from error
        self.kind = kind

    def read(self, name: str, most: int | None) -> bytes:
        size = self.sizes[name]
        count = size if most is None else min(size, most + 1)
        with self.lock:
            if self.kind == "tar":
                self._file.seek(self._offsets[name][0])
                return self._file.read(count)
            try:
                with self._zip.open(name) as member:
                    return member.read(count)
            # Of damaged members, and of those with a password or a packing that Python does not know.
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
                raise OSError(0, f"it cannot be unpacked: {in_one_line(error)}") from error
            except Exception as error:
                if type(error).__module__ not in ("zlib", "lzma", "_lzma", "bz2"):
                    raise
                raise OSError(0, f"it cannot be unpacked: {in_one_line(error)}") from error


_open: dict[tuple[str, str], _Archive] = {}
_opening = threading.Lock()


def _opened(path: str, kind: str) -> _Archive:
    with _opening:
        if (path, kind) not in _open:
            _open[path, kind] = _Archive(path, kind)
        return _open[path, kind]


def _begin_anew() -> None:
    """Forget what is open, since a forked process shares its parent's places in the files."""
    global _opening
    _open.clear()
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class Member(NamedTuple):
    """A file in an archive."""

    archive: str
    kind: str
    name: str


def member_of(address: str) -> Member:
    """Divide an address into the archive and the file in it.

    Raises:
        IrregularFileError: No part of it is called as such an archive is.
    """
    kind, _, path = address.partition("://")
    parts = path.split("/")
    for count, part in enumerate(parts, start=1):
        if part.lower().endswith(_PACKED):
            raise IrregularFileError("a packed tar would be unpacked from its beginning for each file: make it a .tar")
        if part.lower().endswith(_ENDINGS[kind]):
            return Member("/".join(parts[:count]), kind, "/".join(p for p in parts[count:] if p not in ("", ".")))
    raise IrregularFileError(f"{kind}:// needs the path of a file that ends with {_ENDINGS[kind][0]}")


@register_backend("archive", prefixes=["zip", "tar"])
class ArchiveBackend(BaseStorageBackend):
    """Reads files in zip and tar archives, for mmengine's ``fileio``."""

    def get(self, filepath: str, most: int | None = None) -> bytes:
        """Return the content of a file; of one that is larger than ``most`` bytes, one byte more than those."""
        archive, kind, name = member_of(str(filepath))
        opened = _opened(archive, kind)
        if name not in opened.sizes:
            raise FileNotFoundError(2, "no such file in the archive", str(filepath))
        return opened.read(name, most)

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """Return the content of a file as text."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str) -> bool:
        """Tell whether there is such a file."""
        archive, kind, name = member_of(str(filepath))
        return name in _opened(archive, kind).sizes
