"""Requests that are not answered with detections, and what the client is told."""

from rdet.datasets.arrays import MAGIC
from rdet.datasets.image_header import open_header
from rdet.errors import BadImageError, RdetError

_STATUS = {"too large": 413, "too deep": 422, "of other channels": 422}
# What a client can do; what the config could say instead is not his to change.
_REMEDIES = {
    "too large": "make it smaller",
    "too deep": "make it 8 bits a channel",
    "of other channels": "send as many as the model takes",
}


class Refusal(RdetError):
    """A request that is refused.

    Args:
        status: Of HTTP.
        message: One line.
        retry_after: Seconds after which it may be sent again; None: never as it is.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None):
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says besides."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def refusal_of(error: BadImageError, data: bytes) -> Refusal:
    """Tell a client what is wrong with the image that he sent."""
    message = str(error)
    if error.reason in _REMEDIES:
        message = f"{message.rpartition('; ')[0]}; {_REMEDIES[error.reason]}"
    return Refusal(_STATUS.get(error.reason) or (400 if _looks_like_an_image(data) else 415), message)


def _looks_like_an_image(data: bytes) -> bool:
    try:
        return data.startswith(MAGIC) or open_header(data) is not None
    except Exception:  # of a damaged header, anything
        return True
