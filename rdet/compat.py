"""Guards against faults of mmengine on current Python packages, each with its test.

Three more are guarded where they bite: reading checkpoints in :mod:`rdet.checkpoint`, mixed
precision on the CPU in :mod:`rdet.engine.optim_wrapper`, and activation checkpointing in :mod:`rdet.engine.runner`.
"""

import importlib.metadata
import importlib.util

import mmengine.utils
from mmengine import registry
from mmengine.config import config
from mmengine.utils import package_utils


def guard_mmengine() -> None:
    """Applies the guards. They must be there before ``mmengine.optim`` is first imported."""
    _tolerate_second_adafactor()
    # The original imports pkg_resources, gone since setuptools 82. These are all the places that hold it.
    for module in (package_utils, mmengine.utils, config):
        module.is_installed = _is_installed


def _is_installed(package: str) -> bool:
    """Whether a distribution or a module of this name is installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return importlib.util.find_spec(package) is not None
    return True


def _tolerate_second_adafactor() -> None:
    """mmengine 0.10.5 registers transformers' ``Adafactor`` under the name that torch's has by now, which raises.

    There, torch's stays. Later versions call torch's ``TorchAdafactor``.
    """
    optimizers = registry.OPTIMIZERS
    register = type(optimizers).register_module

    def register_module(name=None, force=False, module=None):
        if name == "Adafactor" and name in optimizers.module_dict:
            return module
        return register(optimizers, name=name, force=force, module=module)

    optimizers.register_module = register_module
