"""Configs are written as in rdet's own files."""

import pytest

from rdet.interop.mmdet_config.config_text import comment, config_text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"a": 1}, "a = 1\n"),
        ({"a": {"type": "FPN", "b": (1,)}}, 'a = dict(type="FPN", b=(1,))\n'),
        ({"a": {"b.c": None}}, 'a = {"b.c": None}\n'),
        ({"a": [1 / 3, 1e-6, True]}, "a = [1 / 3, 1e-06, True]\n"),
        ({"a": 'say "x"', "b": "it's"}, 'a = \'say "x"\'\nb = "it\'s"\n'),
        ({"a": {}, "b": []}, "a = dict()\nb = []\n"),
        ({"a": ["x" * 60, "y" * 60]}, f'a = [\n    "{"x" * 60}",\n    "{"y" * 60}",\n]\n'),
        (
            {"a": {"b": {"c": "x" * 60}, "d.e": {"f": "y" * 60}}},
            f'a = {{\n    "b": dict(c="{"x" * 60}"),\n    "d.e": dict(f="{"y" * 60}"),\n}}\n',
        ),
    ],
)
def test_layout(values, text):
    assert config_text(values) == text
    found: dict = {}
    exec(text, found)
    assert {key: found[key] for key in values} == values


def test_lines_have_120_characters_at_most():
    exact = {"a": {"b": "x" * 105}}  # a = dict(b="...") is 119 long
    assert config_text(exact).count("\n") == 1
    assert config_text({"a": {"b": "x" * 108}}).count("\n") == 3
    lines = comment("word " * 60).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 120
