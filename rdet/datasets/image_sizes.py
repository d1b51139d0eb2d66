"""Sizes of images from their headers, for annotations that do not state them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rdet.datasets.images import image_size
from rdet.errors import BadImageError
from rdet.messages import few


class ImageSizes:
    """Reads each header once, on all cores, and keeps the size.

    Args:
        skip: Give an image that cannot be read any size; it is left out later.
    """

    def __init__(self, skip: bool):
        self.skip = skip
        self._sizes: dict[str, tuple[int, int]] = {}

    def of(
        self, paths: Sequence[str], missing_images: Callable[[list[str], int], BadImageError]
    ) -> list[tuple[int, int]]:
        """Return height and width of each image.

        Args:
            paths: Their files.
            missing_images: Makes the error for those that are missing, of all.

        Raises:
            BadImageError: Images are missing or cannot be read.
        """
        unknown = [path for path in paths if path not in self._sizes]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            found = dict(zip(unknown, pool.map(_size, unknown), strict=True))
        bad = {path: error for path, error in found.items() if isinstance(error, BadImageError)}
        if bad and not self.skip:
            missing = [path for path, error in bad.items() if error.reason == "missing"]
            if missing:
                raise missing_images(missing, len(paths))
            first = next(iter(bad.values()))
            others = f" (and {len(bad) - 1} more: {few(list(bad)[1:])})" if len(bad) > 1 else ""
            raise BadImageError(f"{first}{others}", first.reason) from first
        self._sizes |= {path: (1, 1) if isinstance(size, BadImageError) else size for path, size in found.items()}
        return [self._sizes[path] for path in paths]


def _size(path: str) -> tuple[int, int] | BadImageError:
    try:
        return image_size(path)
    except BadImageError as error:
        return error
