"""Annotations are the schema of configs."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints, is_typeddict

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rdet import config_keys, registry
from rdet.errors import ConfigError
from rdet.part_keys import keys_of
from rdet.registry import Registry
from rdet.schema import (
    Ascending,
    Count,
    Fraction,
    Limits,
    Natural,
    Positive,
    PositiveRange,
    Range,
    check_value,
    fits,
    words,
)

REGISTRIES = {name: value for name, value in vars(registry).items() if isinstance(value, Registry)}
PROBES = ["x", 1, 1.5, True, None, [], [1], ["x"], [None], {}, {"x": 1}]


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "said"),
    [
        (int, [0, -3, np.int64(2)], [1.0, True, "1", None, [1]], "a whole number"),
        (float, [0, 0.5, np.float32(1)], [True, "1", None, [1.0]], "a number"),
        (bool, [True, False], [0, 1, "True", None], "True or False"),
        (str, ["", "a"], [1, None, ["a"]], "a string"),
        (None, [None], [0, ""], "None"),
        (float | None, [1, None], ["1", False], "a number or None"),
        (int | str | None, [1, "auto", None], [1.5, [1]], "a whole number, a string or None"),
        (Literal["a", "b"], ["a"], ["c", None, 0], "'a' or 'b'"),
        (Literal[1, 2], [1], [True, 1.0, "1"], "1 or 2"),
        (Count, [1, 7], [0, -1, 1.5, "1"], "a whole number of 1 or more"),
        (Count | None, [1, None], [0], "a whole number of 1 or more or None"),
        (Annotated[float, Limits(least=0)], [0, 0.5], [-0.5, None], "a number of 0 or more"),
        (list[float], [[], [1, 0.5], (1,)], [1, "1", None, ["a"], {}], "a list of numbers"),
        (tuple[int, ...], [[], [1], (1, 2)], [[1.5], 1], "a list of whole numbers"),
        (tuple[int, int], [(1, 2), [1, 2]], [[1], [1, 2, 3], ["a", 1], 1], "a list of 2 whole numbers"),
        (Sequence[str], [["a"]], ["a", [1], None], "a list of strings"),
        (Sequence[tuple[int, int]], [[], [(1, 2)], [[1, 2]]], [[1, 2], [(1,)]], "a list of lists of 2 whole numbers"),
        (int | Sequence[float], [1, [1, 2.5]], [1.5, ["a"]], "a whole number or a list of numbers"),
        (list, [[], [1, "a"], ()], ["a", 1], "a list"),
        (dict, [{}, {"a": 1}], [[], "a", None], "a dict"),
        (Mapping[str, str] | None, [{"a": "b"}, None], ["a", []], "a dict or None"),
        (float | torch.Tensor, [1.5, torch.ones(1)], ["fast"], "a number"),
        (float, [-1e30], [math.nan, math.inf, -math.inf], "a number"),
        (int, [2**63 - 1], [2**63, -(2**63), 10**400], "a whole number"),
        (str, ["ü"], ["a\0b", "\ud800"], "a string"),
        (torch.nn.Module, [{"type": "ReLU"}, torch.nn.ReLU()], [1, "a", None, [], True], "a dict with the key 'type'"),
        (Path | None, ["a", {}, None], [1, []], "a dict with the key 'type' or None"),
        (
            Callable[[int], int],
            ["a.b", print],
            [1, None, [], {}, "a", "../.."],
            "a function's name, such as 'my_module.my_function'",
        ),
        (Natural, [0, 2], [-1, 0.5], "a whole number of 0 or more"),
        (Positive, [0.5], [0, -1], "a number above 0"),
        (Fraction, [0, 0.5, 1], [-0.1, 1.1], "a number from 0 to 1"),
        (Annotated[float, Limits(above=0, most=1)], [1], [0, 2], "a number above 0 and of 1 or less"),
        (
            Range,
            [(0, 0), [0.5, 1.5]],
            [(1.5, 0.5), (-1, 1), (1,), 1],
            "a list of 2 numbers of 0 or more in ascending order",
        ),
        (
            PositiveRange | None,
            [None, (1, 2)],
            [(2, 1), (0, 1)],
            "a list of 2 numbers above 0 in ascending order or None",
        ),
        (
            Annotated[list[Natural], Ascending()],
            [[], [8, 11], [8, 8]],
            [[11, 8], [-1]],
            "a list of whole numbers of 0 or more in ascending order",
        ),
        (Annotated[float, Limits(most=1)], [-9], [2], "a number of 1 or less"),
    ],
)
def test_what_fits(annotation, good, bad, said):
    assert [value for value in good if not fits(value, annotation)] == []
    assert [value for value in bad if fits(value, annotation)] == []
    assert words(annotation) == said


@pytest.mark.parametrize("annotation", [Any, inspect.Parameter.empty, "Unknown", object])
@pytest.mark.parametrize("value", [1, "a", None, {}, []])
def test_what_cannot_be_judged_is_let_through(annotation, value):
    assert fits(value, annotation)


@pytest.mark.parametrize("value", [torch.tensor(0.25), np.ones(3), range(3), print])
def test_objects_are_let_through(value):
    assert fits(value, float)
    assert fits(value, list[str])


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("0.25", float | None, "a.b is '0.25' (str); it must be a number or None"),
        (0, Count, "a.b is 0; it must be a whole number of 1 or more"),
        (0, Count | None, "a.b is 0; it must be a whole number of 1 or more or None"),
        (None, float, "a.b is None; it must be a number"),
        (3, dict, "a.b is 3 (int); it must be a dict, or be left out"),
        ("x", torch.Tensor, "a.b is 'x' (str); it must be a Tensor"),
        (math.nan, float, "a.b is nan (not finite); it must be a number"),
        (2**63, Count, "a.b is 9223372036854775808 (too large); it must be a whole number of 1 or more"),
        ("a\0", str, "a.b is 'a\\x00' (too long, or with characters that no file can have); it must be a string"),
        ("\ud800", str, "a.b is '\\ud800' (too long, or with characters that no file can have); it must be a string"),
        ("x" * 5000, int, f"a.b is '{'x' * 47}...{'x' * 48}' (str); it must be a whole number"),
    ],
)
def test_message(value, annotation, message):
    with pytest.raises(ConfigError) as caught:
        check_value(value, annotation, "a.b")
    assert str(caught.value) == message


def test_a_number_of_too_many_digits_is_not_written():
    with pytest.raises(ConfigError, match=r"a.b is <int too large to be written> \(too large\); it must be a number"):
        check_value(10**5000, float, "a.b")


def parameters():
    for parts in REGISTRIES.values():
        for name in sorted(parts.names()):
            for key, (annotation, parameter) in (keys_of(parts.get(name)) or {}).items():
                yield f"{name}.{key}", parts.get(name), annotation, parameter


def test_defaults_of_all_parts_of_rdet_fit_their_annotations():
    wrong = [
        place
        for place, part, annotation, parameter in parameters()
        if part.__module__.startswith("rdet.") and parameter is not None and parameter.default is not parameter.empty
        if not fits(parameter.default, annotation)
    ]
    assert wrong == []


def test_what_is_refused_can_be_said_of_all_parts():
    """Of those of mmengine, mmcv and torch too."""
    checked = 0
    for place, _, annotation, _ in parameters():
        if not all(fits(value, annotation) for value in PROBES):
            checked += 1
            assert words(annotation), place
    assert checked > 500


def test_plain_dicts_say_the_type_of_each_key():
    dicts = [value for value in vars(config_keys).values() if is_typeddict(value)]
    assert config_keys.ConfigKeys in dicts
    for keys in dicts:
        assert Any not in get_type_hints(keys).values() or keys is config_keys.DataLoader


def test_keys_of_a_data_loader_are_those_of_torch():
    order = {"sampler", "batch_sampler", "shuffle", "drop_last"}  # rdet's business
    keys = set(get_type_hints(config_keys.DataLoader)) - {"aspect_ratio_grouping"}  # and so is this key
    assert keys <= set(inspect.signature(DataLoader).parameters) - order
