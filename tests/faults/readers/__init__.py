"""What reads input from outside: each module lists its readers in ``READERS``."""

import importlib
import pkgutil

from fuzz import Reader


def all_readers() -> list[Reader]:
    """List the readers of all modules here."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [reader for name in modules for reader in importlib.import_module(f"{__name__}.{name}").READERS]
