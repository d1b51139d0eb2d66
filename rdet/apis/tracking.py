"""Which programs show a training, as the options of ``rdet train`` say."""

import os
from pathlib import Path

from mmengine.config import Config

from rdet.engine.vis_backends import check_package

TRACKERS = {"tensorboard": "TensorboardVisBackend", "wandb": "WandbVisBackend", "mlflow": "MLflowVisBackend"}


def check_trackers(names: list[str]) -> None:
    """Raise MissingModuleError if the package of a tracker is not installed."""
    for name in names:
        check_package(TRACKERS[name], f"--{name}", "leave the option out")


def add_trackers(cfg: Config, names: list[str]) -> None:
    """Add backends to a config's visualizer, beside those that it has.

    Args:
        cfg: With a ``work_dir``, whose name is the run's.
        names: Of :data:`TRACKERS`. One that the config has is left as it is there.
    """
    if not names:
        return
    visualizer = dict(cfg.get("visualizer") or {"vis_backends": [{"type": "LocalVisBackend"}]})
    backends = visualizer.get("vis_backends") or []
    backends = [backends] if isinstance(backends, dict) else [*backends]
    there = {str(backend["type"]).rpartition(".")[2] for backend in backends}
    backends += [{"type": TRACKERS[name], **_options(name, cfg)} for name in names if TRACKERS[name] not in there]
    cfg.visualizer = {"type": "Visualizer", **visualizer, "vis_backends": backends}


def _options(name: str, cfg: Config) -> dict:
    run = Path(cfg.work_dir).name
    if name == "wandb":
        project = {} if "WANDB_PROJECT" in os.environ else {"project": "rdet"}
        return {"init_kwargs": {**project, "name": run}}
    if name == "mlflow":
        return {"exp_name": os.environ.get("MLFLOW_EXPERIMENT_NAME", "rdet"), "run_name": run}
    return {}
