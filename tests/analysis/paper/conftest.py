"""The configs of the paper's rows are read once; each test looks at most of them."""

from pathlib import Path

import pytest

from rdet.analysis.paper import small, suite
from rdet.config import read_config

_known = {}


def _read_once(path):
    """A small config has another path in each test, and the same text."""
    text = Path(path).read_text("utf-8")
    if text not in _known:
        _known[text] = read_config(path)
    return _known[text]


@pytest.fixture(autouse=True)
def _configs_are_read_once(monkeypatch):
    for module in (small, suite):
        monkeypatch.setattr(module, "read_config", _read_once)
