"""TensorBoard, wandb and MLflow: mmengine's backends, with which a resumed run goes on where it was,
and which end no run that has begun."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine import visualization as mm
from mmengine.config import Config

from rdet.config import flatten
from rdet.engine.tracked_runs import TrackedRuns
from rdet.engine.unheard import heard
from rdet.registry import VISBACKENDS

_NO_NAME = re.compile(r"[^\w.\-:/ ]")  # what MLflow has in no name of a metric
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@VISBACKENDS.register_module()
class TensorboardVisBackend(mm.TensorboardVisBackend):
    """mmengine's; a resumed run writes beside its first events, and what was logged after its checkpoint is hidden.

    Attributes:
        runs: Knows whether the run is resumed; the Runner sets it.
    """

    program, remedy = "TensorBoard", "see to its folder, or leave it out"
    is_begun = is_lost = False
    runs: TrackedRuns | None = None
    _config: Config | None = None
    _first_step: int | None = None

    def _init_env(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        known = None
        if self.runs is not None:
            known = self.runs.get("tensorboard")
            if known is None:
                folder = Path(self._save_dir).resolve()
                inside = folder.is_relative_to(self.runs.folder)
                self.runs.keep("tensorboard", str(folder.relative_to(self.runs.folder) if inside else folder))
            else:
                self._save_dir = str(self.runs.folder / known)
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        self._tensorboard = SummaryWriter(self._save_dir, purge_step=self._first_step if known else None)
        if self._config is not None:
            self._tensorboard.add_text("config", self._config.pretty_text)
        self.is_begun = True

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Keep the config until the first numbers come: they say from which step on the events are new."""
        self._config = config

    @heard
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        if self._first_step is None:
            self._first_step = step
        super().add_scalars(scalar_dict, step, file_path, **kwargs)

    @heard
    def close(self) -> None:
        """Write what is left."""
        super().close()


@VISBACKENDS.register_module()
class WandbVisBackend(mm.WandbVisBackend):
    """mmengine's, with the iteration as the axis of all charts, and without a copy of the code in the current folder.

    The code is sent where ``log_code_name`` is set.

    Attributes:
        runs: Knows the run's id; the Runner sets it.
    """

    program, remedy = "wandb", "set WANDB_MODE=offline to write it to the work dir alone, or leave wandb out"
    is_begun = is_lost = False
    runs: TrackedRuns | None = None

    def _init_env(self) -> None:
        options = dict(self._init_kwargs or {})
        if self.runs is not None and "id" not in options:
            known = self.runs.get("wandb")
            name = known or uuid.uuid4().hex[:12]
            options |= {"id": name, "resume": "allow"}
            if known:  # the config says that it is resumed now
                options.setdefault("allow_val_change", True)
            self.runs.keep("wandb", name)
        self._init_kwargs = options
        super()._init_env()
        if self._define_metric_cfg is None:
            self._wandb.define_metric("iter")
            self._wandb.define_metric("*", step_metric="iter")
        self.is_begun = True

    @heard
    def add_config(self, config: Config, **kwargs: Any) -> None:
        self.experiment  # noqa: B018  begins the run
        self._wandb.config.update(config.to_dict(), allow_val_change=self._init_kwargs.get("allow_val_change", False))
        if self._log_code_name is not None:
            self._wandb.run.log_code(name=self._log_code_name)

    @heard
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        super().add_scalars({**scalar_dict, "iter": step}, step, file_path, **kwargs)

    @heard
    def close(self) -> None:
        """End the run; mmengine calls a function that wandb no longer has."""
        if hasattr(self, "_wandb"):
            self._wandb.finish()


@VISBACKENDS.register_module()
class MLflowVisBackend(mm.MLflowVisBackend):
    """mmengine's, in a data base of the work dir unless ``tracking_uri`` or ``MLFLOW_TRACKING_URI`` says where.

    Attributes:
        runs: Knows the run's id; the Runner sets it.
    """

    program, remedy = "MLflow", "see to MLFLOW_TRACKING_URI, or leave MLflow out"
    is_begun = is_lost = False
    runs: TrackedRuns | None = None
    _known: str | None = None

    def _init_env(self) -> None:
        self._mlflow = mlflow = import_module("mlflow")
        uri = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        place = self._artifact_location
        if uri is None and self.runs is not None:
            uri = f"sqlite:///{self.runs.folder / 'mlflow.db'}"
            place = place or (self.runs.folder / "mlflow").as_uri()
        with _few_retries():
            mlflow.set_tracking_uri(uri)
            name = self._exp_name or "Default"
            if mlflow.get_experiment_by_name(name) is None:
                mlflow.create_experiment(name, artifact_location=place)
            mlflow.set_experiment(name)
            self._known = self.runs.get("mlflow") if self.runs is not None else None
            run = mlflow.start_run(run_id=self._known, run_name=self._run_name, tags=self._tags)
        if self.runs is not None:
            self.runs.keep("mlflow", run.info.run_id)
        if self._params is not None and self._known is None:
            mlflow.log_params(self._params)
        self.is_begun = True

    @heard
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config. Parameters of a run cannot change there, so those of its start stay."""
        self.experiment  # noqa: B018  begins the run
        self.cfg = config
        if self._known is None:
            keys = self._tracked_config_keys or list(config)
            params = flatten({key: config[key] for key in keys})
            self._mlflow.log_params({_NO_NAME.sub("_", key): value for key, value in params.items()})
        self._mlflow.log_text(config.pretty_text, "config.py")

    @heard
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Record numbers. MLflow refuses some letters: ``AR@100`` is ``AR_100`` there."""
        super().add_scalars({_NO_NAME.sub("_", key): v for key, v in scalar_dict.items()}, step, file_path, **kwargs)

    @heard
    def close(self) -> None:
        """Copy the run's logs and configs to it, and end it."""
        if not hasattr(self, "cfg"):
            return
        work_dir = Path(self.cfg.work_dir)
        suffixes = self._artifact_suffix if isinstance(self._artifact_suffix, str) else (*self._artifact_suffix,)
        for path in sorted(work_dir.rglob("*")):
            place = path.relative_to(work_dir)
            if path.name.endswith(suffixes) and place.parts[0] != "mlflow" and path.is_file():
                self._mlflow.log_artifact(str(path), str(place.parent) if place.parent.parts else None)
        self._mlflow.end_run()


@contextmanager
def _few_retries() -> Iterator[None]:
    """Have a server that is not there be said in seconds, in place of the minutes that MLflow tries."""
    if _RETRIES in os.environ:
        yield
        return
    os.environ[_RETRIES] = "2"
    try:
        yield
    finally:
        del os.environ[_RETRIES]
