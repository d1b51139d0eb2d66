"""Reading the text of a config without running it."""

import ast
from typing import Any

from rdet.errors import CheckpointError
from rdet.parsing import parsed

# Numbers that are printed as names.
_NUMBERS = {"inf": float("inf"), "nan": float("nan")}


def literal_config(text: str) -> dict[str, Any]:
    """Read a config as mmengine and mmcv print it: assignments of literals and of ``dict(...)``.

    A checkpoint's config comes with the checkpoint, so nothing of it is executed.

    Args:
        text: Python source.

    Returns:
        Top-level name -> value.

    Raises:
        CheckpointError: A line is no assignment of plain values.
    """
    try:
        statements = parsed(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"the config is no Python ({type(error).__name__})") from error
    values = {}
    for statement in statements:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise CheckpointError(f"line {statement.lineno} of the config is no assignment of plain values")
        target = statement.targets[0]
        if not isinstance(target, ast.Name):
            raise CheckpointError(f"line {statement.lineno} of the config is no assignment of plain values")
        try:
            values[target.id] = _value(statement.value)
        except (TypeError, RecursionError) as error:  # a list as a key, or values in values without end
            raise CheckpointError(f"line {statement.lineno} of the config is no plain value ({error})") from error
    return values


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        first = _value(node.args[0]) if len(node.args) == 1 else {}
        named = {key.arg: _value(key.value) for key in node.keywords if key.arg is not None}
        unnamed = [_value(key.value) for key in node.keywords if key.arg is None]  # **{...}
        if len(node.args) <= 1 and isinstance(first, dict) and all(isinstance(value, dict) for value in unnamed):
            return {**first, **{key: value for part in unnamed for key, value in part.items()}, **named}
    elif isinstance(node, ast.Dict):
        keys = [key for key in node.keys if key is not None]
        if len(keys) == len(node.values):  # else there is a **{...} among them
            return {_value(key): _value(value) for key, value in zip(keys, node.values, strict=True)}
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_value(item) for item in node.elts)
    elif isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    else:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            pass
    raise CheckpointError(f"line {node.lineno} of the config has {ast.unparse(node)[:40]!r}, which is no plain value")
