"""MMDetection's config files, read so that no key is lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from rdet.config import read_config
from rdet.errors import ConfigError
from rdet.messages import nearest

# What MMDetection 2 has at the top of a config and 3 has not.
_OF_RELEASE_2 = ("data", "optimizer", "optimizer_config", "lr_config", "runner", "total_epochs")

# What mmengine's Runner and MMDetection's tools read at the top of a config.
_OF_RUNNER = {
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg"),
    *("auto_scale_lr", "optim_wrapper", "param_scheduler", "val_evaluator", "test_evaluator", "default_hooks"),
    *("custom_hooks", "data_preprocessor", "load_from", "resume", "env_cfg", "randomness", "model_wrapper_cfg"),
    *(
        "tta_model",
        "tta_pipeline",
        "custom_imports",
        "work_dir",
        "experiment_name",
        "find_unused_parameters",
        "sync_bn",
    ),
}

# Parts whose name rdet has too, or nearly, and why they are not the same.
_DIFFERENT = {
    "CIoULoss": "has other numbers than rdet's: there alpha is 0 below an IoU of 0.5",
    "EIoULoss": "is the Extended IoU, rdet's the Efficient IoU",
    "PAFPN": "has other extra levels than rdet's",
    "Mosaic": "has other numbers than rdet's; see docs/augmentation.md",
    "MixUp": "has other numbers than rdet's; see docs/augmentation.md",
    "CopyPaste": "pastes masks, rdet's boxes; see docs/augmentation.md",
    "MultiImageMixDataset": "draws images otherwise than rdet's; see docs/augmentation.md",
    "VOCDataset": "takes a pixel from all four sides, rdet's VocDataset from two; make a COCO file with "
    "tools/dataset_converters/voc_to_coco.py",
    "VOCMetric": "has no counterpart in rdet, which has CocoMetric",
    "SimOTAAssigner": "has other numbers than rdet's",
    "YOLOX": "is not converted from its config; take rdet's own in configs/yolox, see docs/yolox.md",
    "RTMDet": "is not converted from its config; take rdet's own in configs/rtmdet, see docs/rtmdet.md",
}


class Notes(list[str]):
    """What is left out on purpose, a line for each.

    Attributes:
        remarks: What else there is to say of the result, a line for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.remarks: list[str] = []


class Entry:
    """A dict of a source config, each key of which has to be read; :meth:`finish` refuses one that was not.

    Args:
        values: The dict.
        place: Its dotted path, for messages.
        notes: Gets a line for each value that is left out on purpose.
    """

    def __init__(self, values: Mapping[str, Any], place: str, notes: Notes):
        self.place = place
        self.notes = notes
        self._values = dict(values)
        self._unread = dict(values)
        self._asked: set[str] = set()
        self._below: list[Entry] = []
        self.kind = kind_of(self.take("type"))

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def unread(self) -> list[str]:
        """List the keys that nobody has read yet."""
        return list(self._unread)

    def take(self, key: str, default: Any = None) -> Any:
        """Read a value; ``default`` is what MMDetection takes where the key is absent."""
        self._asked.add(key)
        self._unread.pop(key, None)
        return self._values.get(key, default)

    def needed(self, key: str, default: Any = None) -> Any:
        """Read a value that must not be None, which MMDetection's part cannot do with, either.

        Raises:
            ConfigError: It is None, or absent without a default.
        """
        value = self.take(key, default)
        if value is None:
            of = f", which MMDetection's {self.kind} needs" if self.kind else ""
            self.refuse(f"is {'None' if key in self else 'not there'}{of}; set it", key)
        return value

    def expect(self, key: str, default: Any, reason: str, accepted: tuple[Any, ...] = ()) -> None:
        """Read a value that must be MMDetection's default, or one of ``accepted``.

        Raises:
            ConfigError: It is another one; ``reason`` says what rdet does not have.
        """
        value = self.take(key, default)
        if not any(plain(value) == plain(valid) for valid in (default, *accepted)):
            self.refuse(f"is {value!r}; {reason}", key)

    def ignore(self, *keys: str) -> None:
        """Read values that change no number."""
        for key in keys:
            self.take(key)

    def drop(self, key: str, reason: str = "") -> None:
        """Read a value that is left out, and note it, with the reason where that is not plain."""
        self._asked.add(key)
        if key in self._values:
            self._unread.pop(key, None)
            self.note(f"{self._path(key)} ({reason})" if reason else self._path(key))

    def note(self, text: str) -> None:
        """Note what is left out."""
        if text not in self.notes:
            self.notes.append(text)

    def remark(self, text: str) -> None:
        """Say something about what is written, in a comment of its own."""
        if text not in self.notes.remarks:
            self.notes.remarks.append(text)

    def entry(self, key: str, default: Mapping[str, Any] | None = None) -> "Entry | None":
        """Read a dict; None if it is None, or absent without a default.

        Raises:
            ConfigError: It is something else.
        """
        value = self.take(key, default)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(f"is {value!r}; a dict is expected", key)
        return self.nested(value, key)

    def required(
        self, key: str, default: Mapping[str, Any] | None = None, reason: str = "is not there; set it"
    ) -> "Entry":
        """Read a dict that has to be there.

        Raises:
            ConfigError: It is not, for the ``reason``; or it is something else.
        """
        found = self.entry(key, default)
        if found is None:
            self.refuse(reason, key)
        return found

    def entries(self, key: str) -> "list[Entry]":
        """Read a list of dicts, or one dict in place of it.

        Raises:
            ConfigError: It is something else.
        """
        value = self.take(key)
        values = [value] if isinstance(value, Mapping) else list(value or ())
        if not all(isinstance(item, Mapping) for item in values):
            self.refuse("is no list of dicts", key)
        return [self.nested(item, f"{key}.{index}") for index, item in enumerate(values)]

    def some(self, key: str, reason: str) -> "list[Entry]":
        """Read a list of dicts, or one dict in place of it; raise a ConfigError for the ``reason`` if there is none."""
        if isinstance(self._values.get(key), list | tuple):
            return self.entries(key) or self.refuse(reason, key)
        return [self.required(key, reason=reason)]

    def refuse(self, reason: str, key: str = "") -> NoReturn:
        """Raise a ConfigError that names the entry, or a key of it."""
        said = f"{self._path(key)} {reason}" if reason.startswith("is ") else f"{self._path(key)}: {reason}"
        raise ConfigError(said if ";" in reason or "which has" in reason else f"{said}; change it, or leave it out")

    def unknown(self) -> NoReturn:
        """Raise a ConfigError that says that rdet has nothing like this part."""
        if self.kind is None:
            self.refuse("has no type")
        if self.kind in _DIFFERENT:
            self.refuse(f"MMDetection's {self.kind} {_DIFFERENT[self.kind]}")
        self.refuse(f"MMDetection's {self.kind} has no counterpart in rdet")

    def finish(self) -> None:
        """Raise a ConfigError for the first key, here or below, that nobody has read."""
        for key in self._unread:
            of = f" of MMDetection's {self.kind}" if self.kind else ""
            hint = nearest(key, self._asked - {"type"}, all_valid=False)
            hint = f". {hint}" if hint.startswith("Did") else ""
            self.refuse(f"rdet has nothing for the key {key!r}{of}{hint}", key)
        for entry in self._below:
            entry.finish()

    def finish_below(self) -> None:
        """Raise as :meth:`finish` does for the dicts below alone, and for what MMDetection's runner reads here.

        All else at the top of a config is a helper, such as ``max_epochs``.
        """
        for key in self._unread:
            if key in _OF_RUNNER:
                self.refuse("rdet has nothing for this key", key)
        for entry in self._below:
            entry.finish()

    def nested(self, values: Mapping[str, Any], key: str) -> "Entry":
        """Make the entry of a dict that stands below ``key``."""
        entry = Entry(values, self._path(key), self.notes)
        self._below.append(entry)
        return entry

    def _path(self, key: str) -> str:
        return ".".join(name for name in (self.place, key) if name)


def kind_of(value: Any) -> str | None:
    """Say the name in a ``type``: without the scope, or the module, before it."""
    return None if value is None else str(value).rpartition(".")[2]


def plain(value: Any) -> Any:
    """Turn tuples into lists and numbers into floats, so that equal values compare equal."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_source(path: str | Path, notes: Notes) -> Entry:
    """Read a config file of MMDetection 3 with its bases. As everywhere with mmengine, its code is run.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: It cannot be read, or is of MMDetection 2, or has no model.
    """
    cfg = read_config(path).to_dict()
    old = [key for key in _OF_RELEASE_2 if key in cfg]
    if old and "optim_wrapper" not in cfg and "train_dataloader" not in cfg:
        raise ConfigError(f"the key {old[0]!r} is of MMDetection 2; rdet converts configs of MMDetection 3")
    if "model" not in cfg:
        raise ConfigError("there is no model in it; give a config that describes a detector")
    if "'_scope_':" in str(cfg):
        notes.append("_scope_")
    return Entry(_without_scopes(cfg), "", notes)


def _without_scopes(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_scopes(item) for key, item in value.items() if key != "_scope_"}
    if isinstance(value, list | tuple):
        return type(value)(_without_scopes(item) for item in value)
    return value
