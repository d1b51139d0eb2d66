"""Which image and which class of a truth the detections of a file of anyone mean."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from rdet import coco_json
from rdet.analysis.detections.truth import Truth
from rdet.errors import ResultsError
from rdet.messages import few, shown


class Unknown(str):
    """The name of an image or a class that the truth does not have; it is no id, whatever it says."""


def by_names(content: dict[str, Any], truth: Truth, where: str) -> list[dict[str, Any]]:
    """Return the annotations of a dict with the truth's ids, found by names of files and of classes.

    A file is found by its whole name, or by its last part where the truth and the results have that once.

    Args:
        content: ``images``, ``categories`` and ``annotations``.
        truth: The truth.
        where: The file, for messages.

    Raises:
        DatasetError, ResultsError: The dict is otherwise.
    """
    tables = coco_json.lists(content, ("images", "categories", "annotations"), (), where)
    kinds = (int, str)
    image_ids = coco_json.ids(tables["images"], "images", where, kinds)
    category_ids = coco_json.ids(tables["categories"], "categories", where, kinds)
    files = coco_json.column(tables["images"], "images", "file_name", where)
    for row, file in enumerate(files):
        if not isinstance(file, str):
            raise ResultsError(f"{where}: images[{row}] has the file_name {shown(file)}; it must be a text")
    whole, last = _ids_of_files(truth)
    here = once((PurePath(file).name, file) for file in files)
    images = {
        id_: whole.get(file, last.get(PurePath(file).name) if PurePath(file).name in here else None)
        for id_, file in zip(image_ids, files, strict=True)
    }
    called = coco_json.names(tables["categories"], where)
    names = {category["name"]: category["id"] for category in truth.content["categories"]}
    category_of = {id_: names.get(name, Unknown(name)) for id_, name in zip(category_ids, called, strict=True)}
    image_of = {
        id_: Unknown(file) if images[id_] is None else images[id_] for id_, file in zip(image_ids, files, strict=True)
    }
    return [
        {**row, "image_id": image, "category_id": category}
        for row, image, category in zip(
            tables["annotations"],
            _meant(tables["annotations"], "image_id", image_of, where),
            _meant(tables["annotations"], "category_id", category_of, where),
            strict=True,
        )
    ]


def _meant(rows: list[dict[str, Any]], key: str, of: Mapping[Any, Any], where: str) -> list[Any]:
    values = map(coco_json.whole, coco_json.column(rows, "annotations", key, where))
    return [of[value] if is_id(value) and value in of else Unknown(shown(value)) for value in values]


def _ids_of_files(truth: Truth) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the ids of the truth's images by their file names, and by the last parts of these."""
    pairs = [(str(image["file_name"]), image["id"]) for image in truth.content["images"] if "file_name" in image]
    return once(pairs), once((PurePath(name).name, id_) for name, id_ in pairs)


def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the keys that stand once, with their values."""
    found: dict[str, Any] = {}
    twice = set()
    for key, value in pairs:
        if key in found:
            twice.add(key)
        found[key] = value
    return {key: value for key, value in found.items() if key not in twice}


def is_id(value: Any) -> bool:
    """Tell whether a value can be an id: a number or a text, but not True or False."""
    return type(value) in (int, str)


def image_ids(values: Iterable[Any], truth: Truth) -> tuple[list[Any], list[str]]:
    """Return the truth's ids of images where another way to write them is meant, and notes of that.

    ``42.0`` is 42. A text is the number that it says, or the name of a file, with its ending or without, as
    Ultralytics writes it.
    """
    pairs = list(_ids_of_files(truth)[1].items())
    names = once((PurePath(name).stem, id_) for name, id_ in pairs) | dict(pairs)
    return _read_otherwise(list(values), truth.image_numbers, names, "image_id")


def category_ids(values: Iterable[Any], truth: Truth) -> tuple[list[Any], list[str]]:
    """Return the truth's ids of categories, as :func:`image_ids` does of images; a text may be the name of a class."""
    names = {category["name"]: category["id"] for category in truth.content["categories"]}
    return _read_otherwise(list(values), truth.category_numbers, names, "category_id")


def _read_otherwise(
    values: list[Any], known: Mapping[Any, int], names: Mapping[str, Any], key: str
) -> tuple[list[Any], list[str]]:
    texts = once((str(id_), id_) for id_ in known)
    named = {name: id_ for name, id_ in names.items() if texts.get(name, id_) == id_}
    meant = {int: texts, str: {text: id_ for text, id_ in texts.items() if text not in names} | named}
    found = list(map(coco_json.whole, values))
    read: dict[str, None] = {}
    for row, value in enumerate(found):
        other = meant[type(value)].get(str(value)) if is_id(value) and value not in known else None
        if other is not None:
            found[row] = other
            read[f"{value!r} as {other!r}"] = None
    return found, [f"Read the {key} {few(read)}, as the truth has it."] if read else []
