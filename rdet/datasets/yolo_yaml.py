"""YOLO's ``data.yaml``: the names of the classes, and where the images of each split are."""

from dataclasses import dataclass
from typing import Any

import yaml

from rdet.coco_json import is_text
from rdet.datasets.values import text_of
from rdet.errors import DatasetError
from rdet.messages import few, shown

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataYaml:
    """What the file says.

    Attributes:
        names: Of the classes, in the order of their numbers.
        places: Split -> folders of images, or lists of them, as the file calls them.
        root: What they are relative to, as the file calls it; empty if it does not say.
    """

    names: list[str]
    places: dict[str, list[str]]
    root: str


class _Text(yaml.BaseLoader):  # type: ignore[misc]
    """Reads every value as the text that it is: YAML takes a class called ``no`` for False."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is there more than once", node.start_mark)
        return found


def read_data_yaml(data: bytes, where: str) -> DataYaml:
    """Read a ``data.yaml``.

    Raises:
        DatasetError: It is none, or says what cannot be; the message names the key.
    """
    content = _parsed(data, where)
    if not isinstance(content, dict) or "names" not in content:
        raise DatasetError(f"{where} has no 'names'; give YOLO's data.yaml, with the names of the classes")
    names = class_names(content["names"], where)
    count = content.get("nc", str(len(names)))
    if count != str(len(names)):
        raise DatasetError(f"{where}: nc is {shown(count)}, but there are {len(names)} names; correct one of them")
    places = {key: _places(content[key], key, where) for key in SPLITS if content.get(key)}
    root = content.get("path", "")
    if not isinstance(root, str) or not is_text(root):
        raise DatasetError(f"{where}: path is {shown(root)}; write the data set's folder, or leave it out")
    return DataYaml(names, places, root)


def _parsed(data: bytes, where: str) -> Any:
    text = text_of(data)
    try:
        if text is None:
            raise yaml.YAMLError("not UTF-8")
        return yaml.load(text, _Text)  # builds lists, dicts and texts alone
    except (yaml.YAMLError, ValueError, TypeError) as error:  # the latter two of keys that are lists
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{where} is not YAML ({reason[:200]}); write it again") from error
    except RecursionError as error:
        raise DatasetError(f"{where} is nested too deeply for a data.yaml; write it again") from error


def class_names(value: Any, where: str) -> list[str]:
    """Return the names of classes, given as a list or by their numbers."""
    if isinstance(value, dict):  # number -> name
        numbers = list(map(str, range(len(value))))
        if set(value) != set(numbers):
            raise DatasetError(f"{where}: names has the keys {few(value)}; write 0 to {len(value) - 1}, each once")
        value = [value[key] for key in numbers]
    if not isinstance(value, list) or not value:
        raise DatasetError(f"{where}: names is {shown(value)}; write a list of the names of the classes")
    for i, name in enumerate(value):
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise DatasetError(f"{where}: class {i} has the name {shown(name)}; write a text")
    return [name.strip() for name in value]


def _places(value: Any, key: str, where: str) -> list[str]:
    places = value if isinstance(value, list) else [value]
    for place in places:
        if not isinstance(place, str) or not place.strip() or not is_text(place) or "\0" in place:
            raise DatasetError(f"{where}: {key} has {shown(place)}; write a folder of images, or a list of them")
    return places
