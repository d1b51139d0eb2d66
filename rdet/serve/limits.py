"""What a client may ask for."""

from dataclasses import dataclass

from mmengine.config import Config

from rdet.apis.infer.pipeline import is_resize, steps_of

# A network that gets images as large as they come needs gigabytes for what a telephone takes.
PIXELS_RESIZED, PIXELS_AS_THEY_ARE = 50_000_000, 4_000_000


@dataclass(frozen=True)
class Limits:
    """What a client may ask for.

    Attributes:
        max_bytes: Of the body of a request, all files together.
        max_pixels: Of an image.
        max_requests: That are received or wait at once; one more is told to come again.
        body_seconds: For the body of a request to arrive.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = PIXELS_RESIZED
    max_requests: int = 64
    body_seconds: float = 30.0


def default_max_pixels(cfg: Config, max_size: int | None) -> int:
    """Return the most pixels of an image, as far as the network's input grows with it."""
    resized = max_size is not None or any(map(is_resize, steps_of(cfg)))
    return PIXELS_RESIZED if resized else PIXELS_AS_THEY_ARE
