"""Pascal VOC's xml files."""

from pathlib import Path
from xml.etree import ElementTree

from rdet.datasets.writers.part import Part, stem_of, write_small
from rdet.errors import DatasetError
from rdet.files import write_text
from rdet.messages import shown


def write_voc(parts: list[Part], out: Path) -> dict[str, str]:
    """Write ``Annotations/*.xml`` and ``ImageSets/Main/SPLIT.txt``. Return where each image goes.

    Pixels are counted from 1, as Pascal VOC does, and have two decimals where they are not whole. Regions to ignore
    are ``difficult``.
    """
    names = [_flat(image["file_name"]) for part in parts for image, *_ in part.images()]
    clash = len(set(names)) < len(names)  # the parts call images alike
    places, seen = {}, {}
    for part in parts:
        stems, name_of = [], {category["id"]: category["name"] for category in part.content["categories"]}
        for image, boxes, path in part.images():
            name = f"{part.split}_" * clash + _flat(image["file_name"])
            stems.append(stem_of(name, seen))
            root = _element(None, "annotation")
            _element(root, "folder", "JPEGImages")
            _element(root, "filename", name)
            size = _element(root, "size")
            for tag, value in (("width", image["width"]), ("height", image["height"]), ("depth", 3)):
                _element(size, tag, str(value))
            for box in boxes:
                _add_object(root, box, name_of[box["category_id"]])
            ElementTree.indent(root)
            write_small(out / f"Annotations/{stems[-1]}.xml", ElementTree.tostring(root, encoding="unicode") + "\n")
            places[path] = f"JPEGImages/{name}"
        split = "train" if part.split == "all" else part.split
        write_text(out / f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return places


def _flat(name: str) -> str:
    return name.replace("/", "_")  # ids are names in one folder


def _add_object(root: ElementTree.Element, box: dict, name: str) -> None:
    x, y, width, height = box["bbox"]
    node = _element(root, "object")
    for tag, text in (("name", name), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", str(box["iscrowd"]))):
        _element(node, tag, text)
    corners = _element(node, "bndbox")
    for tag, value in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + width), ("ymax", y + height)):
        _element(corners, tag, f"{value:.2f}".rstrip("0").rstrip("."))


def _element(parent: ElementTree.Element | None, tag: str, text: str | None = None) -> ElementTree.Element:
    if text is not None and not text.isprintable():
        raise DatasetError(f"{shown(text)} cannot be written in XML; give it another name in the source")
    node = ElementTree.Element(tag) if parent is None else ElementTree.SubElement(parent, tag)
    node.text = text
    return node
