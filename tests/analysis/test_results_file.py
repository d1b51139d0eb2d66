"""Files of former runs are checked when they are read."""

import pytest

from rdet.analysis.results_file import read_results
from rdet.errors import ResultsError

SHAPE = {"name": str, "of": {"AP": float, "AP50": float}, "runs": [{"seed": int}], "versions": {str: str}}
GOOD = '{"name": "a", "of": {"AP": 0.5, "AP50": 1}, "runs": [{"seed": 0}], "versions": {}, "more": NaN}'


def test_what_is_as_it_must_be_is_returned(tmp_path):
    (tmp_path / "a.json").write_text(GOOD)
    assert read_results(tmp_path / "a.json", SHAPE, "remove it")["of"] == {"AP": 0.5, "AP50": 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("}", "", r"a.json is no json \(line 1\); remove it"),
        (GOOD, "[" * 100000, "a.json is no json; remove it"),
        (GOOD, "\xff", "a.json is no text; remove it"),
        (GOOD, "3", "a.json: it is 3, no dict of entries; remove it"),
        ('"a"', "null", "a.json: name is None, no text; remove it"),
        ("0.5", "NaN", "a.json: of.AP is nan, no finite number; remove it"),
        ("0.5", '"1"', "a.json: of.AP is '1', no finite number; remove it"),
        ('"AP50": 1', '"AP51": 1', "a.json: of has no AP50; remove it"),
        ('"seed": 0', '"seed": true', r"a.json: runs\[0\].seed is True, no whole number; remove it"),
        ("{}", '{"torch": 2}', "a.json: versions.torch is 2, no text; remove it"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, old, new, message):
    (tmp_path / "a.json").write_bytes(GOOD.replace(old, new).encode("latin1"))
    with pytest.raises(ResultsError, match=rf"{message}$"):
        read_results(tmp_path / "a.json", SHAPE, "remove it")
