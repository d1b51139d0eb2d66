"""Which files are not on the disk, and what is there in their place."""

import difflib
import os
import re
from collections.abc import Iterable
from itertools import islice

from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.messages import few
from rdet.remote import exists, is_address

_DIGITS = re.compile(r"\d+")
_MOST = 5000  # names of a folder that are compared


def near(path: str) -> str:
    """Name what is there and nearly called so, in brackets after a space; nothing where nothing is.

    Of a path whose folder is missing, what is near to the first part that is.
    """
    folder, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder, name = os.path.split(folder)
    # Of numbered names, the next number is near but means another.
    names = {
        os.path.splitext(other)[0].lower(): other
        for other in islice(_names_in(folder), _MOST)
        if _DIGITS.findall(other) == _DIGITS.findall(name) and _kind(other) == _kind(name)
    }
    stems = difflib.get_close_matches(os.path.splitext(name)[0].lower(), names, n=2, cutoff=0.6)
    close = [names[stem] for stem in stems]
    return f" (but there is {few(os.path.join(folder, other) for other in close)})" if close else ""


def _kind(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    return "image" if ending in IMAGE_SUFFIXES else ending


def images_called_otherwise(missing: Iterable[str]) -> dict[str, str]:
    """Find images that are missing, but are there with another ending, upper or lower case, or backslashes.

    Returns:
        Path -> path of the only image that it can mean.
    """
    folders: dict[str, dict[str, list[str]]] = {}
    found = {}
    for path in missing:
        forward = path.replace("\\", "/")
        if forward != path and ".." not in forward and os.path.isfile(forward):
            found[path] = forward
            continue
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = _images_by_stem(folder)
        for stem in (os.path.splitext(name)[0], name):
            candidates = folders[folder].get(stem.lower(), [])
            exact = [c for c in candidates if os.path.splitext(c)[0] == stem]
            if len(exact or candidates) == 1:
                found[path] = os.path.join(folder, *(exact or candidates))
                break
    return found


def _images_by_stem(folder: str) -> dict[str, list[str]]:
    by_stem: dict[str, list[str]] = {}
    for name in _names_in(folder):
        stem, ending = os.path.splitext(name)
        if ending.lower() in IMAGE_SUFFIXES and os.path.isfile(os.path.join(folder, name)):
            by_stem.setdefault(stem.lower(), []).append(name)
    return by_stem


def _names_in(folder: str) -> Iterable[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def missing_files(paths: Iterable[str]) -> list[str]:
    """List those that are no files.

    Each folder is listed once, far faster than asking for each file on a network drive.
    """
    files: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        if is_address(path):
            if not exists(path):
                missing.append(path)
            continue
        folder, name = os.path.split(path)
        if folder not in files:
            files[folder] = _files_in(folder)
        # The disk has the last word: it may not tell upper case from lower, or not let folders be listed.
        if name not in files[folder] and not os.path.isfile(path):
            missing.append(path)
    return missing


def _files_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()
