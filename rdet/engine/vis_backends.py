"""Where a run's numbers go besides its files, and what that needs."""

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
        package = _PACKAGES.get(name)
        if package is not None and importlib.util.find_spec(package) is None:
            raise MissingModuleError(
                f"visualizer.vis_backends: {name} needs the package {package}, which is not installed: pip install "
                f"{package}, or leave the backend out"
            )
