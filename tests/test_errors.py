"""Errors of rdet are told from bugs by their class."""

import ast
import builtins
import copy
import pickle
from pathlib import Path

import pytest

from rdet import errors
from rdet.errors import BadImageError, RdetError

ROOT = Path(__file__).resolve().parents[1]
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RdetError)]
_LIKE_A_LIBRARY = tuple(f"rdet/{name}.py" for name in ("compat", "archives", "datasets/arrays", "remote"))
FILES = [
    path.relative_to(ROOT)
    for folder in ("rdet", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # Parts of a model are built by `build_from_cfg`, which makes ConfigErrors of their constructors' ValueErrors.
    if not path.is_relative_to(ROOT / "rdet/models") and not path.is_relative_to(ROOT / "rdet/interop")
    # What stands in for a function of mmengine, or is called by one, raises what that raises; so does what reads a file
    # for `read_image`, which names it.
    if path.relative_to(ROOT).as_posix() not in _LIKE_A_LIBRARY
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_error_raised_on_purpose_has_the_base_class(path):
    names = [
        node.exc.func.id
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    ]
    # By AttributeError, `__getattr__` says that it has no such name.
    assert [name for name in names if hasattr(builtins, name) and name != "AttributeError"] == []


def test_classes_are_also_the_builtins_of_before():
    assert len(CLASSES) > 10
    for cls in CLASSES:
        kinds = [base for base in cls.__mro__ if base.__module__ == "builtins"]
        assert cls is RdetError or len(kinds) > len([Exception, BaseException, object]), cls


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_is_made_again_from_its_text(cls):
    """A loader's worker and other processes hand errors on."""
    error = cls("what is wrong")
    for again in (cls(str(error)), pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is cls
        assert str(again) == "what is wrong"


def test_reason_of_an_image_survives_the_way_between_processes():
    assert pickle.loads(pickle.dumps(BadImageError("a.png: gone", "missing"))).reason == "missing"
