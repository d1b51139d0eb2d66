"""Patches of mmengine: all that rdet changes in another library, each with the version that no longer needs it.

Looked at: 0.10.6, 0.10.7 and 0.11.0rc3. tests/test_compat.py fails when the installed one needs a patch no more.

What mmengine lacks and rdet has in classes of its own is no patch: mixed precision on the CPU
(:mod:`rdet.engine.optim_wrapper`), process groups on the CPU (:mod:`rdet.engine.distributed`), and reading checkpoints
with torch's safe default (:mod:`rdet.checkpoint`).
"""

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import mmengine.utils
import yaml
from mmengine.config import config
from mmengine.fileio.handlers import yaml_handler
from mmengine.utils import package_utils

from rdet.config_files import find_config, is_of_rdet


def ask_for_packages_without_setuptools() -> None:
    """Replace functions that import pkg_resources, gone since setuptools 82. Not needed from 0.11 on.

    mmengine asks ``is_installed`` while ``mmengine.optim`` is imported, and both for configs of other packages.
    """
    for module in (package_utils, mmengine.utils, config):  # all that hold them
        module.is_installed = _is_installed
        module.get_installed_path = _get_installed_path


def _is_installed(package: str) -> bool:
    """Tell whether a distribution or a module of this name is installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return importlib.util.find_spec(package) is not None
    return True


def _get_installed_path(package: str) -> str:
    """Return the folder of a package, which is not imported for it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no package {package!r}")
    return os.path.dirname(spec.origin)


def read_yaml_as_data() -> None:
    """Replace the loader of YAML files. 0.11.0rc3 needs it still.

    mmengine's makes any Python object that a file names, and so runs what ``!!python/object/apply`` says.
    """
    yaml_handler.Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_bases_in_rdet() -> None:
    """Have ``_base_ = "rdet::retinanet/r50_fpn_1x_coco.py"`` find a config of rdet. 0.11.0rc3 needs it still.

    mmengine knows OpenMMLab's packages alone, and would mark the base's dicts with the package's name.
    """
    find = config.Config._get_cfg_path

    def path_and_scope(base: str, filename: str) -> tuple[str, str | None]:
        return (str(find_config(base)), None) if is_of_rdet(base) else find(base, filename)

    config.Config._get_cfg_path = staticmethod(path_and_scope)


def recompute_for_all_gradients() -> None:
    """Replace the forward of activation checkpointing. 0.11.0rc3 needs it still.

    mmengine's reentrant checkpoint leaves weights without gradient, and says nothing, where no input needs one: a
    backbone's image, a stage behind a frozen one, a neck's list.
    """
    from mmengine.runner import activation_checkpointing  # imports much

    activation_checkpointing.wrap_forward = _recomputed


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a forward whose inner tensors are computed again for the backward pass."""
    from torch.utils.checkpoint import checkpoint

    @wraps(forward)
    def wrapper(*args: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False)

    return wrapper
