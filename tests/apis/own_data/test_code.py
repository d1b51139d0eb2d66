"""Values as the Python of a config: what is written reads back as the same."""

import ast

import pytest

from rdet.apis.own_data.code import Raw, code

VALUES = [
    {"type": "A", "x": [1, 2.5, None, True], "nested": {"deep": {"deeper": ("one",)}}},
    {"not an identifier": 1, 3: "x"},
    'it\'s "both"',
    "quote's",
    'C:\\new "x"',
    (),
    [],
    {},
    ("a",),
    [{"type": f"Transform{i}", "scale": (1333, 800), "keep_ratio": True} for i in range(9)],
    float("1e-9"),
    -3,
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_it_reads_back(value):
    text = code(value)
    assert eval(text, {"dict": dict}) == value
    assert all(len(line) <= 120 for line in text.splitlines())
    ast.parse(text)


def test_an_expression_is_written_as_it_is():
    assert code({"classes": Raw("_classes")}) == "dict(classes=_classes)"
