"""What mmengine does again for every config and every runner, and a process of tests once, or never.

It formats a config's text for a runner, for its log and for each checkpoint, 0.1 s for each other text; asks compilers
for their versions; writes a copy of each base of a config, which it reads, compiles and removes; and looks through all
objects of the process for each data set. A process that a test starts with a Python of its own does all of it.
"""

import copy
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmengine.config.config
import mmengine.dataset.base_dataset
import mmengine.runner.runner
from mmengine.config import Config

CONFIGS = str(Path(__file__).resolve().parents[1] / "configs") + os.sep


def _as_it_is(text: str, **options) -> tuple[str, bool]:
    """In place of a formatter: the text must be Python's, and its lines may be long."""
    compile(text, "config", "exec")
    return text, False


def _once_for_each_file(read: Callable) -> Callable:
    """Of the repository's own configs, whose files no test changes, as long as they read no variable."""
    known: dict[Any, Any] = {}

    def read_once(filename, *options, **more):
        key = os.path.abspath(filename), options, tuple(sorted(more.items()))
        if not key[0].startswith(CONFIGS):
            return read(filename, *options, **more)
        if key not in known:
            found = read(filename, *options, **more)
            if found[2]:  # environment variables
                return found
            known[key] = found
        return copy.deepcopy(known[key])

    return read_once


mmengine.config.config.FormatCode = _as_it_is
mmengine.dataset.base_dataset.gc = SimpleNamespace(collect=lambda: 0)
mmengine.runner.runner.collect_env = cache(mmengine.runner.runner.collect_env)
Config._file2dict = staticmethod(_once_for_each_file(Config._file2dict))
