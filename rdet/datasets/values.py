"""What is written in annotations as text: lists of names, numbers, sizes."""

import codecs
import math
from collections import Counter
from collections.abc import Iterable

from rdet.coco_json import MOST, parse
from rdet.datasets.on_disk import near
from rdet.errors import DatasetError
from rdet.files import why_unreadable
from rdet.messages import shown
from rdet.remote import BackendArgs, open_file

_LONGEST_NAME = 255  # characters, of a file
LONGEST_PATH = 4096


def read_file(path: str, key: str, backend_args: BackendArgs = None) -> bytes:
    """Return the content of the file that a data set's ``key`` names.

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        with open_file(path, backend_args=backend_args) as file:
            return file.read()
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file{near(path)}; check {key} and data_root") from error
    except OSError as error:
        reason = why_unreadable(error)
        raise DatasetError(f"{path} cannot be read ({reason}); set {key} to a file in data_root") from error


def text_of(data: bytes) -> str | None:
    """Decode UTF-8, or what its byte-order mark says; None if it is something else, or has a zero byte."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as Windows' programs save "Unicode"
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def names_in(data: bytes, where: str, of: str, example: str, longest: int = _LONGEST_NAME) -> list[str]:
    """Read a list of names, one a line; lines without a name do not count.

    Args:
        data: The file.
        where: Its path, for messages.
        of: What the names are, ``'image ids'``.
        example: Such a file, ``'ImageSets/Main/train.txt'``.
        longest: Most characters of a name.

    Raises:
        DatasetError: It is no such list, empty, or has a name twice.
    """
    lines = (text_of(data) or "").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if text_of(data) is None or any(len(name) > longest for name in names):
        raise DatasetError(f"{where} is no list of {of} in UTF-8; name one with one a line, such as {example}")
    if not names:
        raise DatasetError(f"{where} is empty; write {of}, one a line")
    check_once(names, where)
    return names


def names_in_json(data: bytes, where: str) -> list[str]:
    """Read a json list of names, which may hold any characters; raise :class:`DatasetError` if it is none."""
    names = parse(data, where)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"{where} is no json list of names; write one, with the names as texts")
    check_once(names, where)
    return names


def check_once(names: Iterable[str], where: str) -> None:
    """Raise :class:`DatasetError` if a list has a name twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(f"{where} lists {shown(name)} {count} times; leave one")


def number(text: str, what: str, where: str) -> float:
    """Read a number of pixels; ``what`` is called so in the message."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MOST:
        raise DatasetError(f"{where}: {what} is {shown(text)}, not a finite number of pixels; write one")
    return value
