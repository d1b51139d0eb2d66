"""Values as they are written on a command line: Python's literals, in which texts need no quotes."""

import ast
import re
from typing import Any

from rdet.errors import ConfigError
from rdet.messages import in_one_line

_WORDS = {"true": True, "false": False, "none": None, "inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_NUMBER = re.compile(r"[+-]?(\d+|\d+\.\d*|\.\d+|\d+(\.\d*)?[eE][+-]?\d+|\.\d+[eE][+-]?\d+)")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_DEEPEST = 50  # brackets in brackets


def parse_value(text: str, option: str, source: str = "--cfg-options") -> Any:
    """Read the value of an option.

    Numbers, quoted texts, lists, tuples, dicts (also ``dict(type=CocoMetric)``), True, False and None are what Python
    takes them for, and ``1,2`` is a list. All else is a text as it stands: a path keeps its spaces, quoted digits are a
    text, and an entry of a list needs no quotes unless it holds a comma or a bracket.

    Args:
        text: What stands behind the ``=``.
        option: Its key, for the message.
        source: Where it stands, for the message.

    Raises:
        ConfigError: A bracket or a quote is not closed, or something follows it.
    """
    if not text.strip():
        return ""
    reader = _Reader(text)
    try:
        values = reader.entries("")
    except _Unclear as error:
        raise ConfigError(
            f"{source} {in_one_line(option)}: {in_one_line(text)} is not understood ({error}); put texts with "
            "commas, brackets or quotes into quotes"
        ) from None
    return values[0] if len(values) == 1 and not reader.ended_with_comma else values


class _Unclear(Exception):
    """What is wrong with a value."""


class _Reader:
    """Reads a value from left to right."""

    def __init__(self, text: str):
        self._text = text
        self._at = 0
        self._depth = 0
        self.ended_with_comma = False

    def entries(self, closing: str, stop: str = "") -> list[Any]:
        """Read entries between commas up to a closing bracket, or to the end of the text; ``stop`` ends a key."""
        found: list[Any] = []
        self.ended_with_comma = False
        while True:
            if self._closes(closing):
                return found
            found.append(self._pair(stop, closing) if stop else self._entry(closing))
            self.ended_with_comma = self._next() == ","
            if self.ended_with_comma:
                self._at += 1
            elif not self._closes(closing, look=True):
                raise _Unclear(f"{self._text[self._at]!r} at {self._at + 1}")

    def _closes(self, closing: str, look: bool = False) -> bool:
        """Tell whether the entries end here, and go on behind the bracket."""
        letter = self._next()
        if letter == "" and closing:
            raise _Unclear(f"{closing!r} is missing")
        if letter != closing:
            return False
        self._at += len(closing) * (not look)
        return True

    def _next(self) -> str:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _pair(self, stop: str, closing: str) -> tuple[Any, Any]:
        key = self._entry(stop)
        if self._next() != stop:
            raise _Unclear(f"{stop!r} is missing")
        self._at += 1
        return key, self._entry(closing)

    def _entry(self, closing: str) -> Any:
        letter = self._next()
        is_dict = self._text.startswith("dict(", self._at)
        if letter in _CLOSING or is_dict:
            return self._bracket("dict(" if is_dict else letter)
        if quoted := _QUOTED.match(self._text, self._at):
            self._at = quoted.end()
            return ast.literal_eval(quoted.group())
        begin = self._at
        ends = f",{closing}" if not closing or closing in ":=" else f",{closing}[]{{}}()"
        while self._at < len(self._text) and self._text[self._at] not in ends:
            self._at += 1
        return _plain(self._text[begin : self._at].strip())

    def _bracket(self, opening: str) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Unclear(f"more than {_DEEPEST} brackets in brackets")
        self._at += len(opening)
        stop = {"dict(": "=", "{": ":"}.get(opening, "")
        values = self.entries(_CLOSING[opening[-1]], stop)
        self._depth -= 1
        if stop:
            return _as_dict(values)
        return values if opening == "[" else tuple(values) if len(values) != 1 or self.ended_with_comma else values[0]


def _as_dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if isinstance(key, list | dict) or keys.count(key) > 1:
            raise _Unclear(f"{in_one_line(key)} is no key, or is there twice")
    return dict(pairs)


def _plain(text: str) -> Any:
    """Read what has no quotes and no brackets."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text) and not re.match(r"[+-]?0\d", text):
        try:
            return ast.literal_eval(text)
        except SyntaxError as error:  # of thousands of digits
            raise _Unclear("a number of too many digits") from error
    return text
