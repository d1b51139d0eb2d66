"""Decoding the bytes of an image file: pixels, or what is wrong with them."""

import cv2
import numpy as np
from PIL import Image

from rdet.datasets.arrays import MAGIC, array_shape, as_picture, read_array
from rdet.datasets.image_header import claims_too_much, is_transposed, open_header, turn_back
from rdet.errors import RdetError
from rdet.messages import in_one_line

# Formats whose decoders may fill the missing end of a file with grey instead of failing:
# what such a file begins with, and what stands near its end if it is whole.
_END_MARKERS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND"))
_TAIL_BYTES = 64  # some cameras pad a file after its end marker


class Unusable(RdetError):
    """What is wrong with an image, without the name of its file.

    Args:
        message: What is wrong.
        reason: Of which kind it is, as :class:`~rdet.errors.BadImageError` has it.
    """

    def __init__(self, message: str, reason: str = "unreadable"):
        super().__init__(message)
        self.reason = reason


def decode(data: bytes, size: tuple[int, int] | None, max_pixels: int, channels: int | None) -> np.ndarray:
    """Decode a picture, or an array in NumPy's format, whose header is read first.

    Args:
        data: The whole file.
        size: Height and width in pixels that it must have, if need be without the orientation noted in it.
        max_pixels: Most pixels.
        channels: How many it must have; None: three, or as many as an array has.

    Returns:
        (H, W, channels), of the depth in the file; of three, in BGR order.

    Raises:
        Unusable: It cannot be decoded, or has other pixels or channels.
    """
    return (_array if data.startswith(MAGIC) else _picture)(data, size, max_pixels, channels)


def _array(data: bytes, size: tuple[int, int] | None, max_pixels: int, channels: int | None) -> np.ndarray:
    try:
        (height, width, *_), _, _ = array_shape(data)
        if height * width > max_pixels:
            raise Unusable(f"the image has {width}x{height} pixels, more than {max_pixels}", "too large")
        if size is not None and (height, width) != tuple(size):
            raise Unusable(
                f"the image is {width}x{height} pixels, its annotations say {size[1]}x{size[0]}", "of another size"
            )
        image = read_array(data)
    except (ValueError, EOFError, MemoryError) as error:
        if isinstance(error, RdetError):
            raise
        raise Unusable(f"not an array that is an image ({in_one_line(error)})") from error
    return as_picture(image) if channels is None else _of_channels(image, channels)


def _of_channels(image: np.ndarray, channels: int) -> np.ndarray:
    image = image[:, :, None] if image.ndim == 2 else image
    if image.shape[2] != channels:
        raise Unusable(
            f"the image has {image.shape[2]} channels, not the {channels} that are asked for", "of other channels"
        )
    return image


def _flags(channels: int | None) -> int:
    if channels in (None, 3):
        return cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    return cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH if channels == 1 else cv2.IMREAD_UNCHANGED


def _picture(data: bytes, size: tuple[int, int] | None, max_pixels: int, channels: int | None) -> np.ndarray:
    header = read_header(data)
    width, height = header.size
    if width * height > max_pixels:
        raise Unusable(f"the image has {width}x{height} pixels, more than {max_pixels}", "too large")
    if size is not None and sorted(size) != sorted(header.size):
        raise _another_size(header, size)
    whole = all(end in data[-_TAIL_BYTES:] for start, end in _END_MARKERS if data.startswith(start))
    image = None if claims_too_much(data) else _pixels(data, _flags(channels))
    if not (whole and image is not None):
        # Rare and slow: ask a second decoder, which says what is wrong.
        wrong = _second_opinion(header)
        if wrong is not None and (not whole or "truncated" in wrong):
            raise Unusable(f"the image file is truncated ({len(data)} bytes)", "truncated")
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


def read_header(data: bytes) -> Image.Image:
    """Read what a picture says of itself.

    Raises:
        Unusable: It is no picture, or has far too many pixels.
    """
    try:
        header = open_header(data)
    except Image.DecompressionBombError as error:
        raise Unusable("the image has more pixels than Pillow reads", "too large") from error
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


def _unknown(data: bytes) -> Unusable:
    return Unusable(f"not an image that OpenCV can decode ({len(data)} bytes)")


def _another_size(header: Image.Image, size: tuple[int, int]) -> Unusable:
    width, height = header.size
    try:
        if is_transposed(header):
            width, height = height, width
    except Exception:  # damaged notes: the size is wrong either way
        pass
    return Unusable(f"the image is {width}x{height} pixels, its annotations say {size[1]}x{size[0]}", "of another size")
