"""What is answered: JSON, and pictures with boxes."""

import io
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field

from rdet.apis.infer.shot import Found
from rdet.serve.refusal import Refusal

PictureFormat = Literal["png", "jpeg"]
_JPEG_QUALITY = 90


class Detection(BaseModel):
    """An object that was found."""

    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom in pixels of the image as it is looked at, its EXIF orientation applied"
    )
    label: int = Field(description="index of the class")
    name: str = Field(description="of the class")
    score: float = Field(description="from 0 to 1")


class ImageAnswer(BaseModel):
    """What was found in an image."""

    file: str = Field(description="its name as it was sent, without folders")
    width: int = Field(description="in pixels")
    height: int = Field(description="in pixels")
    detections: list[Detection] = Field(description="the best first")


class Answer(BaseModel):
    """What was found in the images of a request, in their order."""

    images: list[ImageAnswer]
    ms: float = Field(description="milliseconds from the header of the request to this answer")


class ErrorAnswer(BaseModel):
    """Why there is no other answer."""

    error: str = Field(description="one line")


class ModelAnswer(BaseModel):
    """What detects, and what may be sent to it."""

    name: str
    classes: list[str]
    colors: list[str] = Field(description="of each class in pictures, #rrggbb")
    device: str
    score_thr: float = Field(description="smallest score that is answered where a request does not say one")
    max_batch: int = Field(description="most images of a request")
    max_bytes: int = Field(description="most bytes of a request")
    max_pixels: int = Field(description="most pixels of an image")
    version: str = Field(description="of rdet")


def image_answer(found: Found, classes: tuple[str, ...], most: int | None) -> ImageAnswer:
    """Write what was found; of ``most`` detections, the best."""
    detections = [
        Detection(box=(left, top, right, bottom), label=label, name=classes[label], score=score)
        for label, score, left, top, right, bottom in found.rows()[:most]
    ]
    return ImageAnswer(file=found.shot.name, width=found.width, height=found.height, detections=detections)


def encoded(picture: np.ndarray, kind: PictureFormat) -> bytes:
    """Encode a picture (H, W, 3) uint8 RGB.

    Raises:
        Refusal: The format has no such sizes.
    """
    buffer = io.BytesIO()
    options = {"quality": _JPEG_QUALITY} if kind == "jpeg" else {"compress_level": 1}
    try:
        Image.fromarray(picture).save(buffer, kind, **options)
    except (ValueError, OSError) as error:
        raise Refusal(422, f"no {kind} of {picture.shape[1]}x{picture.shape[0]} pixels; take format=png") from error
    return buffer.getvalue()
