"""What the command-line tools share."""

import argparse
import dis
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, DictAction

import rdet
from rdet.config import load_config


def parse_options(items: list[str]) -> dict:
    """``['a.b=1', 'c=[1,2]']`` -> ``{'a.b': 1, 'c': [1, 2]}``. Raises ValueError if one has no ``=``."""
    for item in items:
        if "=" not in item:
            raise ValueError(f"--cfg-options {item}: expected KEY=VALUE")
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=DictAction)
    return parser.parse_args(["--options", *items]).options if items else {}


def load_run_config(path: str, options: list[str], work_dir: str | None) -> Config:
    """Reads a config for a run: overrides applied, work dir set."""
    cfg = load_config(path, parse_options(options))
    cfg.work_dir = work_dir or cfg.get("work_dir") or os.path.join("work_dirs", Path(path).stem)
    return cfg


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line for an error that rdet raised on purpose, or of a file; code 1.

    Anything else keeps its traceback, and ``RDET_TRACEBACK=1`` shows it for all errors.
    """
    try:
        yield
    except Exception as error:
        if os.environ.get("RDET_TRACEBACK") or not (_of_a_file(error) or _raised_by_rdet(error)):
            raise
        print(f"error: {message_of(error)}", file=sys.stderr)
        sys.exit(1)


def message_of(error: BaseException) -> str:
    """The message of an error, without the traceback that a loader's worker process puts before it."""
    if _of_a_file(error):
        return f"{error.filename}: {error.strerror}"
    message = str(error)
    if "Original Traceback" in message:
        kind = f"{type(error).__name__}: "
        return message.strip().splitlines()[-1].rpartition(kind)[2]
    return message


def _of_a_file(error: BaseException) -> bool:
    """Whether the system refused a file or a folder: not there, not writable, no space."""
    return isinstance(error, OSError) and error.filename is not None and error.strerror is not None


def _raised_by_rdet(error: BaseException) -> bool:
    """Whether a ``raise`` of the package or of its tools is where the error began: all else is a bug."""
    folders = tuple(str(Path(rdet.__file__).parents[1] / name) + os.sep for name in ("rdet", "tools"))
    if "Original Traceback" in str(error):  # of a worker process: its last frame, and the line, are in the text
        lines = [line.strip() for line in str(error).splitlines()]
        starts = [index for index, line in enumerate(lines) if line.startswith('File "')]
        return bool(starts) and _is_raise_below(folders, lines[starts[-1] :])
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    return code.co_filename.startswith(folders) and dis.opname[code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def _is_raise_below(folders: tuple[str, ...], lines: list[str]) -> bool:
    """Whether a frame in a traceback's text, its place and its line, is a ``raise`` in one of the folders."""
    place, code = lines[0].removeprefix('File "'), lines[1] if len(lines) > 1 else ""
    return place.startswith(folders) and code.startswith("raise ")
