"""What an image file says of itself before it is decoded."""

import io

import numpy as np
from PIL import Image, JpegImagePlugin

# Those that OpenCV decodes too. Others would have Pillow try formats that nobody means, or run a program (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "JPEG2000", "PPM", "SUN", "AVIF")
_LONGEST_SIGNATURE = 16  # bytes, what Pillow hands to the plugins too
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # EXIF's tag
# Orientations that exchange width and height -> how a picture that was put upright by it is turned back.
_TURN_BACK = {
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


def open_header(data: bytes) -> Image.Image | None:
    """Read the header of an image, without any pixel; ``load()`` of the result decodes.

    Not ``Image.open``: its limit on pixels cannot be chosen for one image.

    Args:
        data: The whole file.

    Returns:
        An image that knows its size; None if it is of none of ``FORMATS``.

    Raises:
        Exception: Whatever the plugins of Pillow raise of damaged headers, of many types.
    """
    Image.preinit()
    for name in FORMATS:
        if name not in Image.OPEN:
            Image.init()
        open_it, accept = Image.OPEN.get(name, (None, None))
        if open_it is None or accept is None or accept(data[:_LONGEST_SIGNATURE]) is not True:
            continue
        if name == "JPEG":  # the registered one looks for further pictures in the file
            open_it = JpegImagePlugin.JpegImageFile
        return open_it(io.BytesIO(data), "")
    return None


def claims_too_much(data: bytes) -> bool:
    """Tell whether a PNG has a chunk that is longer than the file: OpenCV takes as much memory, 4 GB for four bytes."""
    if not data.startswith(_PNG):
        return False
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 8 + length
        if at > len(data):
            return True
        if kind == b"IEND":
            return False
        at += 4  # the checksum
    return False


def is_transposed(header: Image.Image) -> bool:
    """Tell whether the camera's note exchanges width and height."""
    return header.getexif().get(_ORIENTATION) in _TURN_BACK


def turn_back(image: np.ndarray, header: Image.Image) -> np.ndarray:
    """Undo the orientation of a picture (H, W, 3) for which :func:`is_transposed` holds."""
    return np.ascontiguousarray(_TURN_BACK[header.getexif()[_ORIENTATION]](image))
