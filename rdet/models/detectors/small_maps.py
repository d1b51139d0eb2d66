"""Images that are too small for a network, in the words of rdet instead of those of torch's layers."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from rdet.errors import ConfigError

_ONE_VALUE = "Expected more than 1 value per channel"
_NO_CELL = ("Kernel size can't be greater than actual input size", "Output size is too small")


@contextmanager
def small_maps_explained(inputs: Tensor) -> Iterator[None]:
    """Say in one line that a batch is too small for what runs in the body.

    Args:
        inputs: (N, 3, H, W).

    Raises:
        ConfigError: A layer has one value a channel to normalise, or less of a map than its kernel needs.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        said = str(error)
        count, _, height, width = inputs.shape
        batch = f"a batch of {count} {'image' if count == 1 else 'images'} of {width} x {height} pixels"
        if _ONE_VALUE in said:
            raise ConfigError(
                f"{batch} leaves a level of one cell, and batch normalisation cannot be trained on one value a "
                "channel; raise train_dataloader.batch_size, or the size of the images (Resize in the pipeline), or "
                "take norm_eval=True of the backbone, or GN"
            ) from error
        if any(text in said for text in _NO_CELL):
            raise ConfigError(
                f"{batch} is too small for the network: a layer without padding is left no cell; raise the size of the "
                "images (Resize in the pipeline), or take fewer levels"
            ) from error
        raise
