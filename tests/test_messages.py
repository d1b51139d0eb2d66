"""What messages say of odd names and values."""

import pytest

from rdet.errors import ConfigError, message_of
from rdet.messages import few, printable, shown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain ä 漢 😀", "plain ä 漢 😀"),
        ("a\nb\r\tc\x1b[2J\x00", "a\\nb\\r\\tc\\x1b[2J\\x00"),
        ("\ud800 \u2028.", "\\ud800 \\u2028."),
        ("wide\u3000space", "wide\u3000space"),
    ],
)
def test_printable(text, escaped):
    assert printable(text) == few([text]) == message_of(ConfigError(text)) == escaped
    escaped.encode()


@pytest.mark.parametrize("value", ["x" * 10_000, [[[[["x"] * 100]] * 100]], 10**400, {"a": {"b": {"c": 1}}}])
def test_values_are_shown_in_short(value):
    assert len(shown(value)) < 200
