"""How large images are, where annotations do not say it."""

import logging

from mmengine.logging import print_log

from rdet.datasets.images import image_size
from rdet.errors import BadImageError, DatasetError
from rdet.messages import few


class NoSizeError(DatasetError):
    """Annotations that do not say how large an image is."""


class StatedSizes:
    """The sizes that annotations state; those of images for which they state none are taken from the images."""

    def __init__(self) -> None:
        self._from_images: dict[str, tuple[int, int]] = {}

    def known(self, stated: tuple[int, int] | NoSizeError, entry: str, image: str) -> tuple[int, int]:
        """Return height and width.

        Args:
            stated: What the annotations say, or what is wrong with it.
            entry: The place in the annotations.
            image: Path of the image.

        Raises:
            NoSizeError: There is no size, and no image to read it from.
        """
        if not isinstance(stated, NoSizeError):
            return stated
        if entry not in self._from_images:
            try:
                self._from_images[entry] = image_size(image)
            except BadImageError:
                raise stated from None
        return self._from_images[entry]

    def warn(self, where: str) -> None:
        """Name the entries whose sizes were taken from images."""
        if self._from_images:
            print_log(
                f"{where}: {len(self._from_images)} images have no size in the annotations, which is taken from the "
                f"image: {few(self._from_images, 3)}",
                "current",
                logging.WARNING,
            )


def size_or_error(width: int, height: int, where: str) -> tuple[int, int] | NoSizeError:
    """Return height and width, or what to say if an image of that size has no pixels."""
    if width > 0 and height > 0:
        return height, width
    return NoSizeError(f"{where} has the size {width}x{height}; give the image's width and height in pixels")
