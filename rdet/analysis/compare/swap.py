"""What ``--swap`` says: which parts and values a detector has in place of the base's."""

import re
from dataclasses import dataclass
from typing import Any

from rdet.apis.option_values import parse_value
from rdet.errors import ConfigError
from rdet.messages import in_one_line

_QUOTED_OR_ONE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|.", re.DOTALL)
_NAMED = re.compile(r"\s*([^=:;(){}\[\]'\"]+?)\s*:(?=[^=]*=)(.*)", re.DOTALL)
_CALL = re.compile(r"([A-Za-z][\w.]*)\((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Change:
    """One entry of a swap, ``KEY=VALUE``.

    Attributes:
        key: As it was written, with or without ``model.``.
        text: The value as it was written.
    """

    key: str
    text: str

    def value(self, is_part: bool, source: str) -> Any:
        """Read the value as data; nothing of it is executed.

        Args:
            is_part: Whether a part stands there, so that a bare word is its type.
            source: Where it stands, for messages.

        Returns:
            For ``TYPE(key=value, ...)``, and for ``TYPE`` where a part stands, a dict with ``type``; else what
            :func:`~rdet.apis.option_values.parse_value` returns.

        Raises:
            ConfigError: It is not understood.
        """
        call = _CALL.fullmatch(self.text)
        if call and call[1] != "dict":
            keys = parse_value(f"dict({call[2]})", self.key, source)
            if not isinstance(keys, dict) or "type" in keys:
                raise self._not_understood(source)
            return {"type": call[1], **keys}
        value = parse_value(self.text, self.key, source)
        if not (is_part and isinstance(value, str)):
            return value
        if "(" in value:
            raise self._not_understood(source)
        return {"type": value}

    def _not_understood(self, source: str) -> ConfigError:
        return ConfigError(f"{source}: {in_one_line(self.text)} is not understood; write TYPE(key=value, key=value)")


@dataclass(frozen=True)
class Swap:
    """The changes that make one detector of the base.

    Attributes:
        name: What it is called: the name before a colon, or the changes.
        text: The changes as they were written, in one spelling.
        changes: At least one.
    """

    name: str
    text: str
    changes: tuple[Change, ...]

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"--swap {in_one_line(self.text)!r}"


def parse_swap(text: str) -> Swap:
    """Read ``KEY=VALUE``, or several with ``;`` between them, and a ``NAME:`` before them if there is one.

    Raises:
        ConfigError: An entry is no ``KEY=VALUE``, or a key is there twice.
    """
    named = _NAMED.fullmatch(text)
    name, body = (named[1], named[2]) if named else ("", text)
    changes = []
    for entry in _entries(body):
        key, equals, value = (word.strip() for word in entry.partition("="))
        if not (equals and key and value):
            raise ConfigError(
                f"--swap {in_one_line(text)!r}: {in_one_line(entry.strip())!r} is no SLOT=TYPE, SLOT=TYPE(key=value) "
                "or KEY=VALUE; ';' stands between several"
            )
        changes.append(Change(key, value))
    keys = [change.key.removeprefix("model.") for change in changes]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ConfigError(f"--swap {in_one_line(text)!r} has {in_one_line(twice)} twice; leave one out")
    written = "; ".join(f"{change.key}={change.text}" for change in changes)
    return Swap(name or written, written, tuple(changes))


def _entries(text: str) -> list[str]:
    """Divide a text at the semicolons that stand in no brackets and quotes; an empty last entry is left out."""
    entries, depth = [""], 0
    for token in _QUOTED_OR_ONE.findall(text):
        depth += (token in "([{") - (token in ")]}")
        if token == ";" and depth == 0:
            entries.append("")
        else:
            entries[-1] += token
    return entries[:-1] if len(entries) > 1 and not entries[-1].strip() else entries
