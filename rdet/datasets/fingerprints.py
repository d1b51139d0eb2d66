"""What tells pictures apart: near-duplicates have nearly the same fingerprint.

n and m images.
"""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from rdet.datasets.image_header import open_header
from rdet.datasets.images import MAX_PIXELS, read_image
from rdet.datasets.quiet import quiet_decoders
from rdet.errors import BadImageError
from rdet.remote import BackendArgs, open_file

_SIDE = 16
_BITS = np.array([number.bit_count() for number in range(2**16)], np.uint8)  # numpy 2 alone counts bits
_ORIENTATION = 0x0112  # EXIF's tag
# Of two views of one scene, and of one file saved anew, enlarged or made brighter, few of the 256 bits differ and the
# small pictures correlate; of others of one kind, such as circuit boards, more do, or they do not.
_MOST_BITS, _LEAST_CORRELATION = 12, 0.95
_NOISE = 1  # grey levels by which cells of a plain ground differ: which of two is brighter is chance
_ROWS = 512  # images of a block of comparisons


class Fingerprint(NamedTuple):
    """What a picture looks like when it is very small.

    Attributes:
        bits: (32,) uint8, a difference hash: whether each of 16 x 16 cells is brighter than its left neighbour
            (N. Krawetz, "Kind of Like That", 2013).
        clear: (32,) uint8, which of those cells differ from their neighbour by more than noise.
        small: (16, 16) uint8, grey.
        is_turned: Whether the camera noted (EXIF) that the picture is to be turned or mirrored.
    """

    bits: np.ndarray
    clear: np.ndarray
    small: np.ndarray
    is_turned: bool


def fingerprints(paths: Sequence[str], backend_args: BackendArgs = None) -> list[Fingerprint | None]:
    """Read images, on all cores, and make their fingerprints; None of one that cannot be read."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(lambda path: _fingerprint(path, backend_args), paths))


def near_duplicates(
    first: Sequence[Fingerprint | None], second: Sequence[Fingerprint | None]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of an image of the first set and one of the second that show nearly the same.

    A bit counts if the cells differ clearly in one of the two, so that the noise of a plain ground hides no pair.
    Images of one brightness have no pattern to compare, and are left out.
    """
    ours, theirs = (np.array([i for i, f in enumerate(some) if f is not None], int) for some in (first, second))
    if not (len(ours) and len(theirs)):
        return
    bits, clear, smalls = (
        [np.stack([getattr(some[i], key) for i in at]) for some, at in ((first, ours), (second, theirs))]
        for key in ("bits", "clear", "small")
    )
    flat, other = (_standardised(small) for small in smalls)
    words, counted = ([np.ascontiguousarray(some).view(np.uint16) for some in of] for of in (bits, clear))  # (n, 16)
    for begin in range(0, len(ours), _ROWS):
        block, of_block = words[0][begin : begin + _ROWS], counted[0][begin : begin + _ROWS]
        different = np.zeros((len(block), len(theirs)), np.uint16)
        for column in range(block.shape[1]):
            is_clear = of_block[:, column, None] | counted[1][None, :, column]
            different += _BITS[(block[:, column, None] ^ words[1][None, :, column]) & is_clear]
        for row, match in zip(*np.nonzero(different <= _MOST_BITS), strict=True):
            if float(flat[begin + row] @ other[match]) >= _LEAST_CORRELATION:
                yield int(ours[begin + row]), int(theirs[match])


def _fingerprint(path: str, backend_args: BackendArgs) -> Fingerprint | None:
    try:
        with quiet_decoders():
            grey, is_turned = _grey(path, backend_args)
    except (BadImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    cells = np.asarray(grey.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.float32)
    small = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    steps = np.diff(cells, axis=1)
    return Fingerprint(np.packbits(steps > 0), np.packbits(np.abs(steps) > _NOISE), small, is_turned)


def _grey(path: str, backend_args: BackendArgs) -> tuple[Image.Image, bool]:
    with open_file(path, MAX_PIXELS, backend_args) as file:
        data = file.read(MAX_PIXELS)
    if data.startswith(b"\xff\xd8") and (header := open_header(data)) is not None:
        header.draft("L", (8 * _SIDE, 8 * _SIDE))  # decodes a JPEG at an eighth of its size
        is_turned = header.getexif().get(_ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(header).convert("L"), is_turned
    image = read_image(path, value_range="image", backend_args=backend_args, channels=None)
    try:
        is_turned = Image.open(io.BytesIO(data)).getexif().get(_ORIENTATION, 1) != 1
    except (OSError, ValueError, SyntaxError):  # an array, which has no notes
        is_turned = False
    return Image.fromarray(np.ascontiguousarray(image[:, :, ::-1])).convert("L"), is_turned


def _standardised(small: np.ndarray) -> np.ndarray:
    """Make pictures (n, 16, 16) vectors (n, 256) whose product is their correlation; 0 of those of one brightness."""
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    vectors: np.ndarray = np.where(length > _SIDE, flat / np.maximum(length, 1e-6), 0)
    return vectors
