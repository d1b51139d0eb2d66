"""The configs that rdet brings: ``configs/`` of its repository, or of the installed package.

Their names are paths below that folder without ``.py``: ``retinanet/r50_fpn_1x_coco``.
"""

import ast
import difflib
import os
from pathlib import Path

from rdet.errors import ConfigError, MissingFileError
from rdet.messages import in_one_line
from rdet.parsing import parsed

_PACKAGE = Path(__file__).resolve().parent
_PREFIX = "rdet::"  # as mmengine marks a config of another package
# A wheel has them in the package; the repository, installed as editable or not at all, beside it.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"


def config_names() -> list[str]:
    """List the names of the configs, without the bases that are no whole config."""
    paths = (path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.py"))
    return sorted(path.with_suffix("").as_posix() for path in paths if "_base_" not in path.parts)


def find_config(config: str | Path) -> Path:
    """Return the path of a config that is given by its path, or by the name of one that rdet brings.

    A file of that path goes first, unless the name begins with ``rdet::``.

    Raises:
        MissingFileError: There is neither; the message has names that are near.
    """
    text = str(config)
    name = text.removeprefix(_PREFIX)
    if name == text and Path(config).is_file():
        return Path(config)
    if not Path(name).is_absolute() and ".." not in Path(name).parts:
        path = CONFIGS / (name if name.endswith(".py") else f"{name}.py")
        if path.is_file():
            return path
    raise MissingFileError(f"no config at {in_one_line(text)}; {_hint(name.removesuffix('.py'))}")


def is_of_rdet(config: str) -> bool:
    """Tell whether a text names a config of rdet by the prefix that a ``_base_`` needs."""
    return config.startswith(_PREFIX)


def _hint(name: str) -> str:
    names = config_names()
    same_file = [known for known in names if known.rpartition("/")[2] == name.rpartition("/")[2]]
    near = same_file or difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    if near:
        return f"did you mean {' or '.join(map(repr, near[:3]))}, which rdet brings?"
    return "give the path of a file, or a name that 'rdet configs' lists"


def copy_config(name: str, folder: Path) -> Path:
    """Copy a config of rdet to a folder, with ``rdet::`` before the bases that it inherits.

    Raises:
        ConfigError: The folder has a file of that name.
        MissingFileError: rdet brings no such config.
    """
    from rdet.files import write_text  # imports torch, which a list of names does not need

    source = find_config(f"{_PREFIX}{name.removeprefix(_PREFIX)}")
    target = folder / source.name
    if target.exists():
        raise ConfigError(f"{target} is there already; choose another folder, or remove it")
    text = source.read_text(encoding="utf-8")
    for base in bases_of(text):
        inherited = os.path.relpath(source.parent / base, CONFIGS)
        text = text.replace(f'"{base}"', f'"{_PREFIX}{Path(inherited).as_posix()}"')
    write_text(target, text)
    return target


def bases_of(text: str) -> list[str]:
    """List what ``_base_`` of a config's text names."""
    for node in parsed(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_base_":
            bases = ast.literal_eval(node.value)
            return [bases] if isinstance(bases, str) else list(bases)
    return []
