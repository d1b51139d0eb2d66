"""A look into a program of ``torch.export`` before torch reads it.

``torch.export.load`` unpickles what an archive asks it to, evaluates sizes as Python, and takes any name that begins
with ``torch`` for an operator, such as ``torch.os.system``. What ``rdet export`` writes needs none of this, so a file
that has any of it is refused.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from rdet.errors import CheckpointError

_OPERATOR = re.compile(
    r"torch\.ops\.(aten\.(?!from_file|save)\w+|torchvision\.(nms|deform_conv2d))\.\w+"
    r"|torch\.(sym_(max|min|not|int|float|ite|sum)|_check(_is_size)?)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
    r"|math\.(ceil|floor|trunc)"
)
# Sizes are written as sympy prints its trees: Mul(Integer(32), Symbol('s99', positive=True, integer=True)).
_EXPRESSION = re.compile(r"[\w\s+\-*/(),<>=!&|~%']*")
_NAMES = re.compile(
    r"[suz]+\d+|Symbol|Integer|Rational|Add|Mul|Pow|FloorDiv|CeilDiv|IntTrueDiv|FloatTrueDiv|Mod|PythonMod|CleanDiv"
    r"|ModularIndexing|Where|Max|Min|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|GreaterThan|LessThan|StrictGreaterThan"
    r"|StrictLessThan|And|Or|Not|TruncToInt|CeilToInt|FloorToInt|ToFloat|PowByNatural|Identity|BooleanTrue|BooleanFalse"
    r"|True|False|integer|positive|nonnegative|oo|int_oo|IntInfinity|batch|height|width"
)


def check_program(path: str) -> None:
    """Raise CheckpointError if a file is damaged, or holds what would be run when it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
    except (
        zipfile.BadZipFile,
        ValueError,
        RecursionError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        OSError,
    ) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged, or no exported program ({error}); export it again") from error


def _check(archive: zipfile.ZipFile, path: str) -> None:
    graphs = 0
    for name in archive.namelist():
        folder, _, file = name.rpartition("/")
        inner = folder.rpartition("/")[2]
        if file.endswith(".json"):
            content = json.loads(archive.read(name))
            graphs += inner == "models"
            for key, value in _items(content):
                _check_entry(key, value, path)
        elif (
            inner in ("weights", "constants")
            and (file.endswith(".pt") or not re.fullmatch(r"(weight|tensor)_\d+", file))
        ) or (inner == "sample_inputs" and archive.getinfo(name).file_size > 0):
            raise _refused(path, f"{file}, which would be unpickled")
    if not graphs:
        raise CheckpointError(f"{path} is no exported program; give what 'rdet export' wrote")


def _check_entry(key: str, value: Any, path: str) -> None:
    if key == "use_pickle" and value:
        raise _refused(path, "weights that would be unpickled")
    if key == "target" and not (isinstance(value, str) and _OPERATOR.fullmatch(value)):
        raise _refused(path, f"the operator {str(value)[:80]!r}")
    if key in ("expr_str", "as_expr", "root") and isinstance(value, str):
        words = re.findall(r"[A-Za-z_]\w*", value)
        if not _EXPRESSION.fullmatch(value) or not all(_NAMES.fullmatch(word) for word in words):
            raise _refused(path, f"the size {value[:80]!r}")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key with its value, at any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _refused(path: str, what: str) -> CheckpointError:
    return CheckpointError(f"{path} holds {what}, which 'rdet export' does not write; take another file")
