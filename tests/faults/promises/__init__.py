"""What rdet promises: each module lists its promises in ``PROMISES``."""

import importlib
import pkgutil

from promise import Promise


def all_promises() -> list[Promise]:
    """Lists the promises of all modules here."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [promise for name in modules for promise in importlib.import_module(f"{__name__}.{name}").PROMISES]
