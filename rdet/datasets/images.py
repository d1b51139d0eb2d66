"""Reading image files, and finding those of a data set that cannot be read."""

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from PIL import Image

from rdet.datasets.arrays import MAGIC, array_shape, as_picture, read_array
from rdet.datasets.depth import ValueRange, as_8_bits, describe
from rdet.datasets.image_header import claims_too_much, is_transposed, open_header, turn_back
from rdet.datasets.quiet import quiet_decoders
from rdet.errors import BadImageError, RdetError
from rdet.files import why_unreadable
from rdet.messages import in_one_line
from rdet.remote import BackendArgs, exists, is_address, open_file

# How the names of images end.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Decoded, so many take 300 MB, and a progressive JPEG thrice that while it is decoded.
MAX_PIXELS = 100_000_000

# Formats whose decoders may fill the missing end of a file with grey instead of failing:
# what such a file begins with, and what stands near its end if it is whole.
_END_MARKERS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND"))
_HEAD_BYTES = 2**18  # in which nearly all headers end
_TAIL_BYTES = 64  # some cameras pad a file after its end marker
# No picture that may be read needs a larger file: 16 bits of four channels, or any amount of notes in a small one.
_BYTES_OF_A_PIXEL, _BYTES_OF_NOTES = 8, 2**26

_SKIP = "or set on_bad_image='skip' on the data set to leave such images out"
# What to do, of an image of its own and of one of a data set.
_REMEDIES = {
    "missing": ("check the path", f"check data_root and data_prefix['img'], {_SKIP}"),
    "unreadable": ("mend or replace it", f"mend it, {_SKIP}"),
    "truncated": ("mend or replace it", f"mend it, {_SKIP}"),
    "too large": (
        "make it smaller, or raise max_pixels of LoadImageFromFile",
        f"make it smaller, raise max_pixels of LoadImageFromFile, {_SKIP}",
    ),
    "too deep": (
        "set value_range of LoadImageFromFile, for example to (0, 4095), or make it 8 bits",
        f"set value_range of LoadImageFromFile, for example to (0, 4095), make it 8 bits, {_SKIP}",
    ),
    "of other channels": ("set channels of LoadImageFromFile", f"set channels of LoadImageFromFile, {_SKIP}"),
    "of another size": ("mend it", f"mend it, {_SKIP}"),
}


def read_image(
    path: str | os.PathLike,
    size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    value_range: ValueRange = None,
    backend_args: BackendArgs = None,
    channels: int | None = 3,
) -> np.ndarray:
    """Read one image file.

    The orientation that a camera noted in the file (EXIF) is applied, unless only the picture
    without it has the given size: then the boxes were drawn on that one.

    The header is read first: an image of too many pixels or of another size is never decoded.

    Args:
        path: The file.
        size: Height and width in pixels that the annotations state; None takes any.
        max_pixels: Most pixels of an image.
        value_range: Of an image of more than 8 bits a channel, the values that become 0 and 255, or ``'image'`` for
            the lowest and the highest of each. None refuses it.
        backend_args: As :func:`~rdet.remote.open_file` takes it.
        channels: How many the image has to have. Three are made of grey ones, and one of colours; of other numbers, the
            orientation is not applied. None: three, to look at, of whatever the file has.

    Returns:
        (H, W, channels) uint8; of three, in BGR order.

    Raises:
        BadImageError: The file is missing, unreadable, truncated, too large, too deep or of another size.
    """
    try:
        data = _content(path, max_pixels, backend_args, channels or 3)
        return _decoded(data, size, max_pixels, value_range, channels)
    except _Bad as bad:
        raise _image_error(path, bad, in_data_set=size is not None) from bad


def decode_image(
    data: bytes,
    name: str,
    max_pixels: int = MAX_PIXELS,
    value_range: ValueRange = None,
    channels: int | None = 3,
) -> np.ndarray:
    """Decode an image file that is in memory, as :func:`read_image` does with one on the disk.

    Args:
        data: The whole file.
        name: What an error calls it.
        max_pixels, value_range, channels: As :func:`read_image` takes them.

    Returns:
        (H, W, channels) uint8; of three, in BGR order.

    Raises:
        BadImageError: It is unreadable, truncated, too large or too deep.
    """
    try:
        return _decoded(data, None, max_pixels, value_range, channels)
    except _Bad as bad:
        raise _image_error(name, bad, in_data_set=False) from bad


def _decoded(
    data: bytes, size: tuple[int, int] | None, max_pixels: int, value_range: ValueRange, channels: int | None
) -> np.ndarray:
    with quiet_decoders():
        image = (_array if data.startswith(MAGIC) else _decode)(data, size, max_pixels, channels)
    shallow = as_8_bits(image, value_range)
    if shallow is None:
        raise _Bad(f"the image has {describe(image)}, which 8 bits would cut", "too deep")
    return shallow


def image_size(path: str | os.PathLike, backend_args: BackendArgs = None) -> tuple[int, int]:
    """Return height and width of an image of a data set as :func:`read_image` gives it; its pixels are not decoded.

    Raises:
        BadImageError: The file is missing, unreadable or far too large.
    """
    try:
        with quiet_decoders():
            header = _header_of(path, backend_args)
            if isinstance(header, tuple):
                return header
            width, height = header.size
            # Of other formats, the note may stand behind the pixels, and is as good as never there.
            turned = header.format == "JPEG" and is_transposed(header)
    except _Bad as bad:
        raise _image_error(path, bad, in_data_set=True) from bad
    return (width, height) if turned else (height, width)


def _header_of(path: str | os.PathLike, backend_args: BackendArgs) -> Image.Image | tuple[int, int]:
    """Read a header from the beginning of a file, or from all of it where that is not enough; of an array, its size."""
    with contextlib.suppress(OSError, _Bad, ValueError), open_file(path, _HEAD_BYTES, backend_args) as file:
        data = file.read(_HEAD_BYTES)
        return array_shape(data)[0][:2] if data.startswith(MAGIC) else _header(data)
    return _header(_content(path, MAX_PIXELS, backend_args))


def _image_error(path: str | os.PathLike, bad: "_Bad", in_data_set: bool) -> BadImageError:
    return BadImageError(f"{path}: {bad}; {_REMEDIES[bad.reason][in_data_set]}", bad.reason)


class _Bad(RdetError):
    def __init__(self, message: str, reason: str = "unreadable"):
        super().__init__(message)
        self.reason = reason


def _content(path: str | os.PathLike, max_pixels: int, backend_args: BackendArgs, channels: int = 3) -> bytes:
    most = max(_BYTES_OF_A_PIXEL * max(1, channels / 4) * max_pixels, _BYTES_OF_NOTES)
    most = int(most)
    try:
        with open_file(path, most, backend_args) as file:
            length = file.seek(0, os.SEEK_END)
            if length > most:
                more = "over " if is_address(path) else ""  # of which no more was read
                raise _Bad(
                    f"the image file has {more}{min(length, most) if more else length} bytes, those of {max_pixels} "
                    "pixels are fewer",
                    "too large",
                )
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise _Bad("the image file is missing", "missing") from error
    except OSError as error:
        raise _Bad(f"cannot read the image file ({why_unreadable(error)})") from error


def _array(data: bytes, size: tuple[int, int] | None, max_pixels: int, channels: int | None) -> np.ndarray:
    try:
        (height, width, *_), _, _ = array_shape(data)
        if height * width > max_pixels:
            raise _Bad(f"the image has {width}x{height} pixels, more than {max_pixels}", "too large")
        if size is not None and (height, width) != tuple(size):
            raise _Bad(
                f"the image is {width}x{height} pixels, its annotations say {size[1]}x{size[0]}", "of another size"
            )
        image = read_array(data)
    except (ValueError, EOFError, MemoryError) as error:
        if isinstance(error, RdetError):
            raise
        raise _Bad(f"not an array that is an image ({in_one_line(error)})") from error
    return as_picture(image) if channels is None else _of_channels(image, channels)


def _of_channels(image: np.ndarray, channels: int) -> np.ndarray:
    image = image[:, :, None] if image.ndim == 2 else image
    if image.shape[2] != channels:
        raise _Bad(
            f"the image has {image.shape[2]} channels, not the {channels} that are asked for", "of other channels"
        )
    return image


def _flags(channels: int | None) -> int:
    if channels in (None, 3):
        return cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    return cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH if channels == 1 else cv2.IMREAD_UNCHANGED


def _decode(data: bytes, size: tuple[int, int] | None, max_pixels: int, channels: int | None) -> np.ndarray:
    header = _header(data)
    width, height = header.size
    if width * height > max_pixels:
        raise _Bad(f"the image has {width}x{height} pixels, more than {max_pixels}", "too large")
    if size is not None and sorted(size) != sorted(header.size):
        raise _another_size(header, size)
    whole = all(end in data[-_TAIL_BYTES:] for start, end in _END_MARKERS if data.startswith(start))
    image = None if claims_too_much(data) else _pixels(data, _flags(channels))
    if not (whole and image is not None):
        # Rare and slow: ask a second decoder, which says what is wrong.
        wrong = _second_opinion(header)
        if wrong is not None and (not whole or "truncated" in wrong):
            raise _Bad(f"the image file is truncated ({len(data)} bytes)", "truncated")
        if image is None:
            raise _unknown(data)
    if channels in (None, 3):  # a few formats stay grey
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    else:
        image = _of_channels(image, channels)
    if size is None or image.shape[:2] == tuple(size):
        return image
    if header.format == "TIFF" and is_transposed(header):
        image = turn_back(image, header)  # OpenCV applies a TIFF's orientation always
    else:
        image = _pixels(data, _flags(channels) | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape[:2] != tuple(size):
        raise _another_size(header, size)
    if image.ndim == 2 and channels in (None, 3):
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image if channels is None else _of_channels(image, channels)


def _header(data: bytes) -> Image.Image:
    try:
        header = open_header(data)
    except Image.DecompressionBombError as error:
        raise _Bad("the image has more pixels than Pillow reads", "too large") from error
    except Exception as error:  # plugins raise whatever comes of damaged bytes
        raise _unknown(data) from error
    if header is None:
        raise _unknown(data)
    return header


def _pixels(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError):
        return None


def _second_opinion(header: Image.Image) -> str | None:
    try:
        header.load()
    except Exception as error:
        return str(error)
    return None


def _unknown(data: bytes) -> _Bad:
    return _Bad(f"not an image that OpenCV can decode ({len(data)} bytes)")


def _another_size(header: Image.Image, size: tuple[int, int]) -> _Bad:
    width, height = header.size
    try:
        if is_transposed(header):
            width, height = height, width
    except Exception:  # damaged notes: the size is wrong either way
        pass
    return _Bad(f"the image is {width}x{height} pixels, its annotations say {size[1]}x{size[0]}", "of another size")


def find_bad_images(
    images: Iterable[tuple[str, tuple[int, int]]],
    max_pixels: int = MAX_PIXELS,
    value_range: ValueRange = None,
    backend_args: BackendArgs = None,
    channels: int = 3,
) -> dict[int, BadImageError]:
    """Read every image once, on all cores.

    Args:
        images: Path, and height and width, of each image.
        max_pixels: Most pixels of an image.
        value_range: As :func:`read_image` takes it.
        backend_args, channels: As :func:`read_image` takes them.

    Returns:
        Position of each image that cannot be used -> what is wrong with it.
    """

    def problem(image: tuple[str, tuple[int, int]]) -> BadImageError | None:
        try:
            read_image(
                *image, max_pixels=max_pixels, value_range=value_range, backend_args=backend_args, channels=channels
            )
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
