"""What a data set does about images that are missing or cannot be used."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import torch
from mmengine.logging import print_log

from rdet.datasets.depth import ValueRange
from rdet.datasets.images import MAX_PIXELS, read_image
from rdet.datasets.on_disk import missing_files, near
from rdet.datasets.transforms.load import LoadImageFromFile
from rdet.errors import BadImageError, ConfigError, DatasetError
from rdet.messages import few
from rdet.processes import each_does_its_share
from rdet.remote import BackendArgs

OnBadImage = Literal["error", "skip", "warn"]
Prepared = TypeVar("Prepared")
_NAMED = 3  # images that a message names before it only counts
# Why images are left out -> what to do where none is kept; without a data set's own key, that of 'rdet train --data'.
_REMEDIES = {
    "missing": "check data_root and data_prefix['img']",
    "too deep": "set value_range of LoadImageFromFile, as --value-range does with --data",
    "of other channels": "set channels of LoadImageFromFile, as --channels does with --data",
    "too large": "raise max_pixels of LoadImageFromFile",
}


class BadImages:
    """The rule of one data set, ``on_bad_image``.

    Args:
        rule: ``'error'``, ``'skip'`` or ``'warn'``, see :class:`~rdet.datasets.DetDataset`.
        where: The annotations, for messages.
        loaders: What loads images in the pipeline.

    Raises:
        ConfigError: The rule is none of the three.
    """

    def __init__(self, rule: str, where: str, loaders: Sequence[LoadImageFromFile]):
        if rule not in ("error", "skip", "warn"):
            raise ConfigError(f"on_bad_image must be 'error', 'skip' or 'warn', got {rule!r}")
        self.rule = rule
        self.where = where
        self.loaders = loaders
        self._first: BadImageError | None = None
        self._said = torch.zeros(0, dtype=torch.bool)

    def among(self, records: Sequence[Mapping[str, Any]]) -> dict[int, BadImageError]:
        """Read all images if bad ones are to be left out: position of each -> what is wrong with it.

        Each of several processes reads a share, and all leave out what any found: where a file can be read one moment
        and not the next, they have the same images all the same.
        """
        if self.rule != "skip":
            return {}
        most = max((loader.max_pixels for loader in self.loaders), default=MAX_PIXELS)
        first = self.loaders[0] if self.loaders else LoadImageFromFile(value_range="image")

        def errors_of(share: Sequence[Mapping[str, Any]]) -> list[BadImageError | None]:
            some = f"{len(share)} of " if len(share) < len(records) else ""
            print_log(f"{self.where}: reading {some}{len(records)} images to find bad ones", "current")
            sizes = ((record["img_path"], (record["height"], record["width"])) for record in share)
            bad = find_bad_images(sizes, most, first.value_range, first.backend_args, first.channels)
            return [bad.get(index) for index in range(len(share))]

        errors = each_does_its_share(errors_of, records, f"images of {self.where}")
        bad = {index: error for index, error in enumerate(errors) if error is not None}
        self._first = next(iter(bad.values()), None)
        return bad

    def remedy(self, dropped: Mapping[str, int]) -> str | None:
        """Say what to do where all images were left out; None if it was not for what is wrong with them."""
        reason = next((reason for reason in _REMEDIES if f"images {reason}" in dropped), None)
        if reason is None:
            return None
        # What a single one is like: the depth and the values, for example.
        like = f": {str(self._first).partition('; ')[0]}" if self._first is not None and reason != "missing" else ""
        return f"({', '.join(f'left out {n} {what}' for what, n in dropped.items())}){like}; {_REMEDIES[reason]}"

    def check_files(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Raise BadImageError if files are missing that will be loaded from the disk."""
        # Without a pipeline that loads, only annotations are wanted; of images from elsewhere only the backend knows.
        if self.rule == "warn" or not self.loaders or any(loader.backend_args for loader in self.loaders):
            return
        missing = missing_files([record["img_path"] for record in records])
        if missing:
            raise self.missing(missing, len(records))

    def missing(self, missing: Sequence[str], count: int) -> BadImageError:
        """Make the error for images that are missing, of ``count``."""
        return BadImageError(
            f"{self.where}: {len(missing)} of {count} image files are missing: {few(missing, _NAMED)}"
            f"{near(missing[0])}; check "
            "data_root and data_prefix['img'], or set on_bad_image='skip' to leave such images out",
            "missing",
        )

    def begin(self, count: int) -> None:
        """Begin with a data set of ``count`` images."""
        # In memory that the workers of a data loader share, so that each image is said once.
        self._said = torch.zeros(count, dtype=torch.bool).share_memory_()

    def next_good(self, idx: int, prepare: Callable[[int], Prepared]) -> Prepared:
        """Return what ``prepare`` makes of an image; with ``'warn'``, of the next that is good.

        Raises:
            BadImageError: The image cannot be used.
            DatasetError: With ``'warn'``, none can.
        """
        if self.rule != "warn":
            return prepare(idx)
        count = len(self._said)
        for other in range(idx, idx + count):
            try:
                return prepare(other % count)
            except BadImageError as error:
                if not self._said[other % count]:
                    self._said[other % count] = True
                    problem = str(error).rpartition("; ")[0]
                    print_log(f"{problem}; the next image is taken in its place", "current", logging.WARNING)
        raise DatasetError(f"{self.where}: none of its {count} images can be read; check them with data_root")


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
        value_range, backend_args, channels: As :func:`~rdet.datasets.images.read_image` takes them.

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
