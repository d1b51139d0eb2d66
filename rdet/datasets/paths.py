"""Where the names in annotations lead to."""

import os
import posixpath
from collections.abc import Iterable

from rdet.errors import DatasetError
from rdet.messages import few
from rdet.remote import is_address, join, leads_out

_NAMED = 3  # names that a message has before it only counts


def paths_within(
    names: Iterable[str], folder: str, data_root: str, where: str, allow_outside: bool = False
) -> list[str]:
    """Join names from a file to a folder, and see that none leads out of the data set.

    Only names are compared, without asking the disk for each of them; links within the data set lead where they lead.

    Args:
        names: Relative to ``folder``, or absolute.
        folder: Folder of the images, for example, or an address.
        data_root: Folder of the data set. If ``folder`` lies elsewhere, that one counts.
        where: The file that has the names, for messages.
        allow_outside: Let them lead anywhere.

    Raises:
        DatasetError: Names lead out of the data set.
    """
    paths: list[str] = []
    outside: list[str] = []
    roots: list[str] = []
    remote = is_address(folder)
    for name in names:
        path = join(folder, name)
        if remote or is_address(name):
            roots = [folder]
            if leads_out(name):
                outside.append(name)
                path = name if is_address(name) else path
            elif ".." in name:
                path = join(folder, posixpath.normpath(name))
            paths.append(path)
            continue
        if ".." in name or os.path.isabs(name) or os.path.splitdrive(name)[0]:
            roots = roots or _roots(folder, data_root)
            # As it was compared: the system would take '..' after the links before it.
            path = path if allow_outside else os.path.normpath(path)
            if not any(_is_in(os.path.abspath(path), root) for root in roots):
                outside.append(name)
        paths.append(path)
    if outside and not allow_outside:
        raise DatasetError(
            f"{where}: {len(outside)} of {len(paths)} files lie outside of the data set's folder, {roots[0]}: "
            f"{few(map(repr, outside), _NAMED)}; correct the names, or set allow_outside=True on the data set if you "
            "trust whoever wrote them"
        )
    return paths


def _roots(folder: str, data_root: str) -> list[str]:
    root, inner = os.path.abspath(data_root), os.path.abspath(folder)
    root = root if _is_in(inner, root) else inner
    return list(dict.fromkeys([root, os.path.realpath(root)]))


def _is_in(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
