"""The paper's rows at a scale that a desktop trains in minutes."""

from pathlib import Path

from mmengine.config import Config

from rdet.config import read_config
from rdet.errors import ConfigError
from rdet.files import write_text

# What a row changes besides its subject: the depth of the network does not carry over to another one.
_OF_THE_SCALE = ("backbone",)


def slot_changes(row: Config, base: Config) -> dict[str, dict]:
    """Return what a row of the paper changes of its base in ``model``, as a child config writes it.

    Args:
        row: Its config for COCO.
        base: The config of the ablations for COCO.

    Returns:
        Slot -> changed keys; the whole part with ``_delete_`` where its type is another one.

    Raises:
        ConfigError: The row takes a key away, which a child cannot write.
    """
    changes = {}
    for slot, part in row.model.to_dict().items():
        before = base.model.get(slot, {})
        if slot in _OF_THE_SCALE or part == before:
            continue
        if not before:
            changes[slot] = part
        elif part["type"] != before["type"]:
            changes[slot] = {"_delete_": True, **part}
        elif gone := set(before) - set(part):
            raise ConfigError(f"model.{slot} of a row has no {', '.join(sorted(gone))}, which its base has")
        else:
            changes[slot] = {key: value for key, value in part.items() if before.get(key, ...) != value}
    return changes


def write_small_config(row: Path, configs: Path, out: Path) -> Path:
    """Write the config of a row at the small scale: ``small.py`` with the row's own changes.

    Args:
        row: The row's config for COCO.
        configs: Folder with ``retinanet_r50_600.py`` and ``small.py``.
        out: File to write.
    """
    changes = slot_changes(read_config(row), read_config(configs / "retinanet_r50_600.py"))
    text = f"_base_ = {str((configs / 'small.py').resolve())!r}\nmodel = {changes!r}\n"
    if not (out.exists() and out.read_text(encoding="utf-8") == text):
        write_text(out, text)  # as a whole: a training that starts now never reads half a file
    return out
