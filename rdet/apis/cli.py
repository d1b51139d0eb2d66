"""What the command-line tools share."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rdet.apis.option_values import parse_value
from rdet.config import load_config
from rdet.engine.distributed import naming_lost_processes
from rdet.errors import ConfigError, Interrupted, RdetError, interruption_behind, is_of_a_file, is_of_memory, message_of
from rdet.messages import in_one_line
from rdet.signals import signals_call


def parse_options(items: list[str]) -> dict[str, Any]:
    """Read options: ``['a.b=1', 'c=[1,2]']`` -> ``{'a.b': 1, 'c': [1, 2]}``; the last of one counts.

    Raises:
        ConfigError: One has no ``=``, or a value that is not understood.
    """
    options: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--cfg-options {in_one_line(item)}: expected KEY=VALUE")
        options[key] = parse_value(text, key)
    return options


def load_run_config(path: str, options: list[str], work_dir: str | None) -> Config:
    """Read a config for a run: overrides applied, work dir set."""
    cfg = load_config(path, parse_options(options))
    cfg.work_dir = work_dir or cfg.get("work_dir") or os.path.join("work_dirs", Path(path).stem)
    return cfg


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line for an :class:`~rdet.errors.RdetError`, an error of a file or of memory; code 1.

    Ctrl-C and SIGTERM end it with one line too, and the code that a shell expects: 130 or 143. Anything else is
    a bug and keeps its traceback. ``RDET_TRACEBACK=1`` shows it for all errors.
    """
    try:
        with signals_call(), naming_lost_processes():
            yield
    except (Interrupted, Exception) as error:
        if (ended := interruption_behind(error)) is not None:
            print(ended, file=sys.stderr)
            sys.exit(ended.code)
        said_in_a_line = isinstance(error, RdetError) or is_of_a_file(error) or is_of_memory(error)
        if os.environ.get("RDET_TRACEBACK") or not said_in_a_line:
            raise
        print(f"error: {message_of(error)}", file=sys.stderr)
        sys.exit(1)
