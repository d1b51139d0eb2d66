"""Where a run's numbers go besides its files, and what that needs."""

import importlib
import importlib.util
from collections.abc import Iterable

from mmengine.visualization import Visualizer

from rdet.errors import MissingModuleError

# mmengine's backends -> packages, which it asks for when the first number is there.
_PACKAGES = {
    "TensorboardVisBackend": "tensorboard",
    "WandbVisBackend": "wandb",
    "MLflowVisBackend": "mlflow",
    "ClearMLVisBackend": "clearml",
    "NeptuneVisBackend": "neptune",
    "DVCLiveVisBackend": "dvclive",
    "AimVisBackend": "aim",
}


def check_packages(visualizer: Visualizer) -> None:
    """Raise MissingModuleError if a backend needs a package that is not installed."""
    backends: Iterable[object] = visualizer._vis_backends.values()
    for name in {type(backend).__name__ for backend in backends}:
        check_package(name, f"visualizer.vis_backends: {name}", "leave the backend out")


def check_package(backend: str, who: str, otherwise: str) -> None:
    """Raise MissingModuleError if the package of a backend is not installed, or cannot be imported.

    Args:
        backend: Name of its class.
        who: What asks for it, for the message.
        otherwise: What to do without the package.
    """
    package = _PACKAGES.get(backend)
    if package is None:
        return
    if importlib.util.find_spec(package) is None:
        raise MissingModuleError(
            f"{who} needs the package {package}, which is not installed: pip install {package}, or {otherwise}"
        )
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise MissingModuleError(
            f"{who} needs the package {package}, which cannot be imported ({error}): install it anew, or {otherwise}"
        ) from error
