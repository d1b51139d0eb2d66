"""YOLO's label files: a line for each box, in fractions of the image."""

import math

from rdet.datasets.values import text_of
from rdet.errors import DatasetError
from rdet.files import why_unreadable
from rdet.messages import shown
from rdet.remote import BackendArgs, open_file

_FARTHEST = 2  # of the image's side that a box may pass it; what lies farther was never a fraction
Label = tuple[int, int, float, float, float, float]


def read_labels(path: str, classes: int, backend_args: BackendArgs = None) -> list[Label] | None:
    """Read the boxes of an image.

    Args:
        path: The label file.
        classes: How many classes there are.
        backend_args: As :func:`~rdet.remote.open_file` takes it.

    Returns:
        Line, class, x and y of the upper left corner, width and height of each box, in fractions of the image's
        sides; a polygon is reduced to the box around it. None if there is no such file.

    Raises:
        DatasetError: A line is something else; the message names it.
    """
    try:
        with open_file(path, backend_args=backend_args) as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({why_unreadable(error)}); check the file") from error
    text = text_of(data)
    if text is None:
        raise DatasetError(f"{path} is no text in UTF-8; write class, x, y, width and height of a box in each line")
    lines = enumerate(map(str.split, text.splitlines()), start=1)
    return [_label(words, line, path, classes) for line, words in lines if words]


def _label(words: list[str], line: int, path: str, classes: int) -> Label:
    where = f"line {line} of {path}"
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise DatasetError(
            f"{where} has {len(words)} numbers; write class, x, y, width and height, separated by spaces, or a class "
            "and the corners of a polygon"
        )
    label = _class(words[0], classes, where)
    values = [_fraction(word, where) for word in words[1:]]
    if len(values) == 4:
        x, y, width, height = values
        return line, label, x - width / 2, y - height / 2, width, height
    left, top = min(values[::2]), min(values[1::2])
    return line, label, left, top, max(values[::2]) - left, max(values[1::2]) - top


def _class(word: str, classes: int, where: str) -> int:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < classes or value != int(value):
        raise DatasetError(
            f"{where} has the class {shown(word)}, but there are {classes} class names; write a number from 0 to "
            f"{classes - 1}, or add the name"
        )
    return int(value)


def _fraction(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not abs(value) <= _FARTHEST:
        raise DatasetError(
            f"{where} has {shown(word)}, which is no fraction of the image; write pixels divided by its width or height"
        )
    return value
