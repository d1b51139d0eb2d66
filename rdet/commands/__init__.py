"""The commands of ``rdet``, a module each; ``tools/`` has doors to the same code."""

import shlex
import sys

# Words that start a training in a process of its own.
TRAIN_COMMAND = (sys.executable, "-m", "rdet", "train")


def command_line() -> str:
    """Return how this program was called, as a shell would take it."""
    program, *words = sys.argv
    return f"{program} {shlex.join(words)}" if program.startswith("rdet ") else shlex.join(["python", *sys.argv])
