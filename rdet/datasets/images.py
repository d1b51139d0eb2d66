"""Reading image files, with an error that says what to do about one that cannot be used."""

import contextlib
import os

import numpy as np
from PIL import Image

from rdet.datasets.arrays import MAGIC, array_shape
from rdet.datasets.decoding import Unusable, decode, read_header
from rdet.datasets.depth import ValueRange, as_8_bits, describe
from rdet.datasets.image_header import is_transposed
from rdet.datasets.quiet import quiet_decoders
from rdet.errors import BadImageError
from rdet.files import why_unreadable
from rdet.remote import BackendArgs, is_address, open_file

# How the names of images end.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Decoded, so many take 300 MB, and a progressive JPEG thrice that while it is decoded.
MAX_PIXELS = 100_000_000

_HEAD_BYTES = 2**18  # in which nearly all headers end
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
    except Unusable as bad:
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
    except Unusable as bad:
        raise _image_error(name, bad, in_data_set=False) from bad


def _decoded(
    data: bytes, size: tuple[int, int] | None, max_pixels: int, value_range: ValueRange, channels: int | None
) -> np.ndarray:
    with quiet_decoders():
        image = decode(data, size, max_pixels, channels)
    shallow = as_8_bits(image, value_range)
    if shallow is None:
        raise Unusable(f"the image has {describe(image)}, which 8 bits would cut", "too deep")
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
    except Unusable as bad:
        raise _image_error(path, bad, in_data_set=True) from bad
    return (width, height) if turned else (height, width)


def _header_of(path: str | os.PathLike, backend_args: BackendArgs) -> Image.Image | tuple[int, int]:
    """Read a header from the beginning of a file, or from all of it where that is not enough; of an array, its size."""
    with contextlib.suppress(OSError, Unusable, ValueError), open_file(path, _HEAD_BYTES, backend_args) as file:
        data = file.read(_HEAD_BYTES)
        return array_shape(data)[0][:2] if data.startswith(MAGIC) else read_header(data)
    return read_header(_content(path, MAX_PIXELS, backend_args))


def _image_error(path: str | os.PathLike, bad: Unusable, in_data_set: bool) -> BadImageError:
    return BadImageError(f"{path}: {bad}; {_REMEDIES[bad.reason][in_data_set]}", bad.reason)


def _content(path: str | os.PathLike, max_pixels: int, backend_args: BackendArgs, channels: int = 3) -> bytes:
    most = int(max(_BYTES_OF_A_PIXEL * max(1, channels / 4) * max_pixels, _BYTES_OF_NOTES))
    try:
        with open_file(path, most, backend_args) as file:
            length = file.seek(0, os.SEEK_END)
            if length > most:
                more = "over " if is_address(path) else ""  # of which no more was read
                raise Unusable(
                    f"the image file has {more}{min(length, most) if more else length} bytes, those of {max_pixels} "
                    "pixels are fewer",
                    "too large",
                )
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise Unusable("the image file is missing", "missing") from error
    except OSError as error:
        raise Unusable(f"cannot read the image file ({why_unreadable(error)})") from error
