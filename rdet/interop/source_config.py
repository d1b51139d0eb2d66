"""The config that a checkpoint of MMDetection carries."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.logging import print_log

from rdet.errors import CheckpointError
from rdet.literal_config import literal_config


def source_config(meta: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Read the config that MMDetection 3 stores as ``cfg`` and 2 as ``config``; nothing if it is not plain."""
    text = meta.get("cfg") or meta.get("config")
    if not isinstance(text, str):
        return {}
    try:
        return literal_config(text)
    except CheckpointError as error:
        print_log(f"the config in {path} is not used: {error}", "current", level=30)
        return {}


def input_side(source: Mapping[str, Any]) -> int | None:
    """Find the longer side that images are resized to in the test; None if the config does not say it."""
    data = source.get("val_dataloader") or source.get("data") or {}
    found = next(_sides(data.get("dataset") or data.get("val") or data.get("test") or {}), None)
    return found or next(_sides(source.get("test_pipeline") or ()), None)


def _sides(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        scale = value.get("img_scale") or (value.get("scale") if value.get("type") == "Resize" else None)
        if isinstance(scale, list | tuple) and len(scale) == 2 and all(isinstance(side, int) for side in scale):
            yield max(scale)
        for item in value.values():
            yield from _sides(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sides(item)
