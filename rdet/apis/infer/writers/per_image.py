"""Files of text, one an image: json, YOLO, Pascal VOC."""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from rdet.apis.infer.shot import Found
from rdet.apis.infer.writers.base import Writer, write_small
from rdet.apis.infer.writers.coco import frame_of
from rdet.messages import printable


class JsonWriter(Writer):
    """Writes ``json/STEM.json`` of each image: its name, size, and ``detections`` with class, label, score and corners.

    Args:
        out_dir: Where the folder goes.
        classes: Names, by label.
    """

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._folder = out_dir / "json"
        self._classes = classes

    def add(self, found: Found) -> None:
        """Write the file of an image."""
        content = {
            "file_name": found.shot.name,
            "source": found.shot.where,
            "height": found.height,
            "width": found.width,
            **frame_of(found.shot),
            "detections": [
                {"class": self._classes[label], "label": label, "score": score, "xyxy": corners}
                for label, score, *corners in found.rows()
            ],
        }
        write_small(self._folder / f"{found.shot.stem}.json", json.dumps(content, indent=1) + "\n")


class YoloWriter(Writer):
    """Writes ``classes.txt``, and of each image ``labels/STEM.txt``: label, centre, width, height as fractions, score.

    Args:
        out_dir: Where the folder goes.
        classes: Names, by label.
    """

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._folder = out_dir / "labels"
        self._classes = classes
        self._begun = False

    def add(self, found: Found) -> None:
        """Write the file of an image, which is empty where nothing was found."""
        if not self._begun:  # beside the labels, not among them, where it could be taken for an image's
            text = "".join(f"{printable(name)}\n" for name in self._classes)
            write_small(self._folder.with_name("classes.txt"), text)
            self._begun = True
        lines = []
        for label, score, x1, y1, x2, y2 in found.rows():
            centre = (x1 + x2) / 2 / found.width, (y1 + y2) / 2 / found.height
            values = (*centre, (x2 - x1) / found.width, (y2 - y1) / found.height, score)
            lines.append(" ".join([str(label), *(f"{value:.6f}" for value in values)]) + "\n")
        write_small(self._folder / f"{found.shot.stem}.txt", "".join(lines))


class VocWriter(Writer):
    """Writes ``voc/STEM.xml`` of each image; each object has a ``score``. Pixels are counted from 1.

    Args:
        out_dir: Where the folder goes.
        classes: Names, by label.
    """

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._folder = out_dir / "voc"
        self._classes = classes

    def add(self, found: Found) -> None:
        """Write the file of an image."""
        root = ElementTree.Element("annotation")
        _append(root, "filename", found.shot.name)
        size = ElementTree.SubElement(root, "size")
        for tag, value in (("width", found.width), ("height", found.height), ("depth", 3)):
            _append(size, tag, str(value))
        for label, score, x1, y1, x2, y2 in found.rows():
            node = ElementTree.SubElement(root, "object")
            _append(node, "name", self._classes[label])
            _append(node, "difficult", "0")
            _append(node, "score", f"{score:.6f}")
            box = ElementTree.SubElement(node, "bndbox")
            for tag, value in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
                _append(box, tag, f"{value:.2f}")
        ElementTree.indent(root)
        text = ElementTree.tostring(root, encoding="unicode")
        write_small(self._folder / f"{found.shot.stem}.xml", text + "\n")


def _append(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = printable(text)
