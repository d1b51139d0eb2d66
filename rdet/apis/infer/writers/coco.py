"""COCO's json of all images."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rdet.apis.infer.shot import Found, Shot
from rdet.apis.infer.writers.base import Writer
from rdet.apis.infer.writers.growing import GrowingText, need_name
from rdet.files import write_whole


class CocoWriter(Writer):
    """Writes ``detections.json``: ``images``, ``categories`` (ids from 1), and ``annotations`` with ``score``.

    ``info["failed"]`` has the name of each image that could not be used, and why. An image that is a frame has
    ``video``, ``frame_id`` (from 0) and ``time`` in seconds. Images and annotations grow in a file each, so a long
    video takes no more memory than a short one.

    Args:
        out_dir: Where it goes.
        classes: Names, by label.

    Raises:
        OutputError: A folder has the name of the file.
    """

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self.path = out_dir / "detections.json"
        need_name(self.path)
        self._classes = classes
        self._failed: dict[str, str] = {}
        self._images: GrowingText | None = None
        self._annotations: GrowingText | None = None
        self.num_images = self.num_annotations = 0

    def add(self, found: Found) -> None:
        """Append an image and its detections, or, where that is interrupted, neither."""
        if self._images is None or self._annotations is None:
            self._images, self._annotations = self._opened()
        before = self._images.size, self._annotations.size
        rows = annotations_of(found, self.num_images + 1, self.num_annotations + 1)
        commas = ",\n" if self.num_images else "", ",\n" if self.num_annotations and rows else ""
        try:
            self._images.write(commas[0] + json.dumps(image_of(found, self.num_images + 1)))
            self._annotations.write(commas[1] + ",\n".join(map(json.dumps, rows)))
            self.num_images, self.num_annotations = self.num_images + 1, self.num_annotations + len(rows)
        except BaseException:
            self._images.cut(before[0])
            self._annotations.cut(before[1])
            raise

    def fail(self, name: str, reason: str) -> None:
        """Note an image for ``info["failed"]``."""
        self._failed[name] = reason

    def close(self) -> None:
        """Join the two files, unless nothing was looked at."""
        if self._images is None and not self._failed:
            return
        try:
            if self._images is None:
                self._images, self._annotations = self._opened()
            write_whole(self.path, self._join)
        finally:
            for part in (self._images, self._annotations):
                if part is not None:
                    part.discard()

    def _opened(self) -> tuple[GrowingText, GrowingText]:
        images = GrowingText(self.path.with_name("detections.images.json"))
        try:
            return images, GrowingText(self.path.with_name("detections.annotations.json"))
        except BaseException:
            images.discard()
            raise

    def _join(self, path: Path) -> None:
        categories = [{"id": i, "name": name} for i, name in enumerate(self._classes, start=1)]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'{{"info": {json.dumps({"failed": self._failed})},\n"categories": {json.dumps(categories)}')
            for key, part in (("images", self._images), ("annotations", self._annotations)):
                assert part is not None
                file.write(f',\n"{key}": [\n')
                with open(part.part, encoding="utf-8") as source:
                    shutil.copyfileobj(source, file)
                file.write("]")
            file.write("}\n")


def image_of(found: Found, image_id: int) -> dict[str, Any]:
    """Return the entry of an image."""
    entry = {"id": image_id, "file_name": found.shot.name, "height": found.height, "width": found.width}
    return entry | frame_of(found.shot)


def frame_of(shot: Shot) -> dict[str, Any]:
    """Return what is said of an image that is a frame of a video."""
    if shot.frame is None:
        return {}
    return {"video": shot.where, "frame_id": shot.frame.index, "time": round(shot.frame.seconds, 6)}


def annotations_of(found: Found, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """Return the entries of the detections in an image."""
    return [
        {
            "id": number,
            "image_id": image_id,
            "category_id": label + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": score,
        }
        for number, (label, score, x1, y1, x2, y2) in enumerate(found.rows(), start=first_id)
    ]
