"""Reading image files, and finding those of a data set that cannot be read."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from PIL import Image

from rdet.errors import BadImageError

# Formats whose decoders may fill the missing end of a file with grey instead of failing:
# what such a file begins with, and what stands near its end if it is whole.
_END_MARKERS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND"))
_TAIL_BYTES = 64  # some cameras pad a file after its end marker


def read_image(path: str | os.PathLike, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read one image file.

    The orientation that a camera noted in the file (EXIF) is applied, unless only the picture
    without it has the given size: then the boxes were drawn on that one.

    Args:
        path: The file.
        size: Height and width in pixels that the annotations state; None takes any.

    Returns:
        (H, W, 3) uint8 in BGR order.

    Raises:
        BadImageError: The file is missing, unreadable, truncated, or of another size.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise BadImageError(f"{path}: the image file is missing", "missing") from error
    except OSError as error:
        raise BadImageError(f"{path}: cannot read the image file ({error.strerror})", "unreadable") from error
    image = _decode(data, path, cv2.IMREAD_COLOR)
    if size is None or image.shape[:2] == tuple(size):
        return image
    unrotated = _decode(data, path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if unrotated.shape[:2] == tuple(size):
        return unrotated
    height, width = image.shape[:2]
    raise BadImageError(
        f"{path}: the image is {width}x{height} pixels, its annotations say {size[1]}x{size[0]}", "of another size"
    )


def find_bad_images(images: Iterable[tuple[str, tuple[int, int]]]) -> dict[int, BadImageError]:
    """Read every image once, on all cores.

    Args:
        images: Path, and height and width, of each image.

    Returns:
        Position of each image that cannot be used -> what is wrong with it.
    """

    def problem(image: tuple[str, tuple[int, int]]) -> BadImageError | None:
        try:
            read_image(*image)
        except BadImageError as error:
            return error
        return None

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return {i: error for i, error in enumerate(pool.map(problem, images)) if error is not None}


def missing_files(paths: Iterable[str]) -> list[str]:
    """List those that are no files.

    Each folder is listed once, far faster than asking for each file on a network drive.
    """
    files: dict[str, set[str]] = {}
    missing = []
    for path in paths:
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


def _decode(data: bytes, path: str | os.PathLike, flags: int) -> np.ndarray:
    whole = all(end in data[-_TAIL_BYTES:] for start, end in _END_MARKERS if data.startswith(start))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if whole and image is not None:
        return image
    # Rare and slow: ask a second decoder, which says what is wrong.
    try:
        with Image.open(io.BytesIO(data)) as second:
            second.load()
    except (OSError, SyntaxError, ValueError) as error:
        if not whole or "truncated" in str(error):
            raise BadImageError(f"{path}: the image file is truncated ({len(data)} bytes)", "truncated") from error
    if image is None:
        raise BadImageError(f"{path}: not an image that OpenCV can decode ({len(data)} bytes)", "unreadable")
    return image
