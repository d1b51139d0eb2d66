"""The images of a page: the worst of one detector, or those on which two differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rdet.analysis.detections.diagnosis import Diagnosis
from rdet.analysis.detections.images import ImageResult, most_different, worst
from rdet.report.pictures import Picture, bytes_of_each, picture


@dataclass(frozen=True)
class Shown:
    """One image of the page.

    Attributes:
        name: Of its file, or its id.
        picture: Its pixels.
        panes: For each detector its name, its counts and its boxes.
        change: How much F1 rises from the first detector to the second; None of one detector.
    """

    name: str
    picture: Picture
    panes: Sequence[dict[str, Any]]
    change: float | None


@dataclass(frozen=True)
class Gallery:
    """Images in the order in which they are shown.

    Attributes:
        images: The images.
        without_picture: How many of them have no file.
        candidates: How many have mistakes, or differ.
    """

    images: Sequence[Shown]
    without_picture: int
    candidates: int


def gallery(models: Sequence[Diagnosis], number: int) -> Gallery:
    """Choose images and read them."""
    if len(models) == 1:
        every = [result.number for result in worst(models[0].images, len(models[0].images))]
    else:
        every = most_different(models[0].images, models[1].images, len(models[0].images))
    most_bytes = bytes_of_each(len(every[:number]))
    shown = [_show(models, image, most_bytes) for image in every[:number]]
    return Gallery(shown, sum(one.picture.data is None for one in shown), len(every))


def _show(models: Sequence[Diagnosis], number: int, most_bytes: int) -> Shown:
    truth = models[0].evaluated.truth
    record = truth.images[number]
    size = (record["width"], record["height"]) if _is_size(record) else None
    image = picture(truth.paths.get(record["id"]), size, most_bytes)
    results = [model.images[number] for model in models]
    panes = [
        {"model": model.name, "result": result, "boxes": _boxes(image, result, truth.classes)}
        for model, result in zip(models, results, strict=True)
    ]
    change = results[1].f1 - results[0].f1 if len(results) > 1 else None
    return Shown(str(record.get("file_name", record["id"])), image, panes, change)


def _boxes(image: Picture, result: ImageResult, classes: Sequence[str]) -> list[dict[str, object]]:
    truth = image.place(result.objects, classes)
    return [*truth, *image.place(result.detections, classes)]


def _is_size(record: dict[str, Any]) -> bool:
    return all(isinstance(record.get(key), int | float) and 0 < record[key] < 1e6 for key in ("width", "height"))
