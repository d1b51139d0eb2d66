"""What mmengine does again for every config and every runner, and a process of tests once.

It formats a config's text three times for a runner and once for a checkpoint, 0.1 s each; asks compilers for their
versions; and writes a copy of each base of a config, which it reads, compiles and removes.
"""

import copy
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mmengine.config.config
import mmengine.runner.runner
from mmengine.config import Config

CONFIGS = str(Path(__file__).resolve().parents[1] / "configs") + os.sep


def _once_for_each_text(format_code: Callable) -> Callable:
    known: dict[Any, Any] = {}

    def format_once(text, **options):
        key = text, repr(options)
        if key not in known:
            known[key] = format_code(text, **options)
        return known[key]

    return format_once


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


mmengine.config.config.FormatCode = _once_for_each_text(mmengine.config.config.FormatCode)
mmengine.runner.runner.collect_env = cache(mmengine.runner.runner.collect_env)
Config._file2dict = staticmethod(_once_for_each_file(Config._file2dict))
