"""What the command-line tools share."""

import argparse
import os
import sys
import traceback
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


def load_run_config(path: str, options: list[str], work_dir: str | None, launcher: str = "none") -> Config:
    """Reads a config for a run: overrides applied, work dir and launcher set."""
    cfg = load_config(path, parse_options(options))
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get("work_dir") or os.path.join("work_dirs", Path(path).stem)
    return cfg


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line for an error that rdet raised on purpose, code 1.

    Anything else keeps its traceback, and ``RDET_TRACEBACK=1`` shows it for all errors.
    """
    try:
        yield
    except Exception as error:
        if os.environ.get("RDET_TRACEBACK") or not _raised_by_rdet(error):
            raise
        print(f"error: {message_of(error)}", file=sys.stderr)
        sys.exit(1)


def message_of(error: BaseException) -> str:
    """The message of an error, without the traceback that a loader's worker process puts before it."""
    message = str(error)
    if "Original Traceback" in message:
        kind = f"{type(error).__name__}: "
        return message.strip().splitlines()[-1].rpartition(kind)[2]
    return message


def _raised_by_rdet(error: BaseException) -> bool:
    package = str(Path(rdet.__file__).parent)
    if "Original Traceback" in str(error):  # of a worker process: its last frame is in the text
        frames = [line for line in str(error).splitlines() if line.strip().startswith('File "')]
        return bool(frames) and package in frames[-1]
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(package)
