"""The files below a folder."""

import os
import re
from collections.abc import Sequence
from functools import cached_property

from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.errors import DatasetError, MissingFileError
from rdet.files import read_regular

LISTS = ("train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt")
_WORDS = {
    "train": "train", "training": "train", "trainval": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
_PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_SAMPLE = 20  # names by which a folder of images is judged


class Listing:
    """All files below a folder, by their paths in it.

    Args:
        root: The folder.

    Raises:
        MissingFileError: There is no such folder.
    """

    def __init__(self, root: str):
        if not os.path.isdir(root):
            if root.lower().endswith(_PACKED) and os.path.isfile(root):
                raise MissingFileError(
                    f"{root} is an archive; unpack it and give the folder (data in a zip or a plain tar are read "
                    "without unpacking by a config with data_root='zip://PATH')"
                )
            what = "is no folder" if os.path.exists(root) else "is not there"
            raise MissingFileError(f"{root} {what}; give the folder of a data set")
        self.root = root
        self.folders: dict[str, list[str]] = {}
        seen: set[str] = set()
        for where, inner, names in os.walk(root, followlinks=True):
            if (real := os.path.realpath(where)) in seen:  # a link to a folder above
                inner.clear()
                continue
            seen.add(real)
            inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
            folder = os.path.relpath(where, root)
            self.folders["" if folder == "." else folder] = sorted(name for name in names if not name.startswith("."))

    def files(self, *suffixes: str) -> list[str]:
        """List the files whose names end so."""
        return [
            os.path.join(folder, name)
            for folder, names in self.folders.items()
            for name in names
            if name.lower().endswith(suffixes)
        ]

    @cached_property
    def images(self) -> list[str]:
        """All images."""
        return self.files(*IMAGE_SUFFIXES)

    @cached_property
    def _all(self) -> set[str]:
        return {os.path.join(folder, name) for folder, names in self.folders.items() for name in names}

    def path(self, file: str) -> str:
        """Return the path of a file outside of the folder."""
        return os.path.join(self.root, file)

    def read(self, file: str, most: int | None = None) -> bytes:
        """Return a file's content, or the beginning of it; nothing where it cannot be read."""
        try:
            return read_regular(self.path(file))[:most]
        except OSError:
            return b""

    def first_line(self, file: str) -> str:
        """Return the first line of a file that has something in it."""
        text = self.read(file, 10_000).decode("utf-8", "replace")
        return next((line.strip() for line in text.splitlines() if line.strip()), "")

    def image_folder(self, names: Sequence[str], file: str) -> str | None:
        """Find the folder that the names of images are relative to.

        Args:
            names: As annotations have them.
            file: The annotations.

        Returns:
            The folder that has most of a sample of them; of several, one that is of the same part of the data as the
            file (train and val often call their images alike), else that of the file. None if no folder has any.
        """
        return self.folder_of_most(names[:: max(1, len(names) // _SAMPLE)], file)

    def folder_of_most(self, sample: Sequence[str], file: str) -> str | None:
        """Find the folder that has most of some names; see :meth:`image_folder`."""
        split = split_of(file)
        folders = sorted(dict.fromkeys([os.path.dirname(file), "", *self.folders]), key=lambda f: split_of(f) != split)
        have = {
            folder: sum(os.path.normpath(os.path.join(folder, name)) in self._all for name in sample)
            for folder in folders
        }
        best = max(have, key=have.__getitem__)
        return best if have[best] else None

    def image_folder_or_raise(self, names: Sequence[str], file: str) -> str:
        """Find it as :meth:`image_folder`, for the names in a file.

        Raises:
            DatasetError: No folder has any of the images.
        """
        names = [name.replace("\\", "/") for name in names]  # as Windows' programs write them
        folder = self.image_folder(names, file)
        if folder is None and names:
            base = os.path.basename(names[0])
            elsewhere = [image for image in self.images if os.path.basename(image) == base]
            there = f" (but there is {elsewhere[0]!r}); write the names so" if elsewhere else "; put them there"
            raise DatasetError(
                f"{self.path(file)}: none of its {len(names)} images is below {self.root}, such as {names[0]!r}{there}"
            )
        return folder or ""


def split_of(path: str) -> str | None:
    """Tell which part of a data set a path names: ``'train'``, ``'val'``, ``'test'`` or None."""
    return next((_WORDS[word] for word in reversed(re.findall("[a-z]+", path.lower())) if word in _WORDS), None)
