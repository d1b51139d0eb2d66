"""Packages that only exports need."""

import importlib
from types import ModuleType

from rdet.errors import MissingModuleError


def needed(name: str, what: str) -> ModuleType:
    """Import a package of the extra ``deploy``.

    Args:
        name: Of the module.
        what: What needs it, for the message.

    Raises:
        MissingModuleError: It is not installed, or cannot be loaded here.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a library that it is made of
        package = name.partition(".")[0]
        raise MissingModuleError(f"{what} needs the package {package} ({error}); pip install 'rdet[deploy]'") from error
