"""TensorBoard, wandb and MLflow: mmengine's backends, with which a resumed run goes on where it was."""

import os
import uuid
from pathlib import Path
from typing import Any

from mmengine import visualization as mm
from mmengine.config import Config
from mmengine.visualization.vis_backend import force_init_env

from rdet.engine.tracked_runs import TrackedRuns
from rdet.registry import VISBACKENDS


@VISBACKENDS.register_module()
class TensorboardVisBackend(mm.TensorboardVisBackend):
    """mmengine's; a resumed run writes beside its first events, and what was logged after its checkpoint is hidden.

    Attributes:
        runs: Knows whether the run is resumed; the Runner sets it.
    """

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

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Keep the config until the first numbers come: they say from which step on the events are new."""
        self._config = config

    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        if self._first_step is None:
            self._first_step = step
        super().add_scalars(scalar_dict, step, file_path, **kwargs)


@VISBACKENDS.register_module()
class WandbVisBackend(mm.WandbVisBackend):
    """mmengine's, with the iteration as the axis of all charts, and without a copy of the code in the current folder.

    The code is sent where ``log_code_name`` is set.

    Attributes:
        runs: Knows the run's id; the Runner sets it.
    """

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

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        self._wandb.config.update(config.to_dict(), allow_val_change=self._init_kwargs.get("allow_val_change", False))
        if self._log_code_name is not None:
            self._wandb.run.log_code(name=self._log_code_name)

    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        super().add_scalars({**scalar_dict, "iter": step}, step, file_path, **kwargs)

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

    runs: TrackedRuns | None = None
    _known: str | None = None

    def _init_env(self) -> None:
        self._tracking_uri = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if self._tracking_uri is None and self.runs is not None:
            self._tracking_uri = f"sqlite:///{self.runs.folder / 'mlflow.db'}"
            self._artifact_location = self._artifact_location or (self.runs.folder / "mlflow").as_uri()
        # What would begin a run of its own, before it can be said which one goes on.
        run_name, tags, params = self._run_name, self._tags, self._params
        self._run_name = self._tags = self._params = None
        super()._init_env()
        self._known = self.runs.get("mlflow") if self.runs is not None else None
        run = self._mlflow.start_run(run_id=self._known, run_name=run_name, tags=tags)
        if self.runs is not None:
            self.runs.keep("mlflow", run.info.run_id)
        if params is not None:
            self._mlflow.log_params(params)

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config. Parameters of a run cannot change there, so those of its start stay."""
        if self._known is None:
            super().add_config(config, **kwargs)
        else:
            self.cfg = config
            self._mlflow.log_text(config.pretty_text, "config.py")

    def close(self) -> None:
        """Copy the run's logs and configs to it, and end it."""
        if not hasattr(self, "_mlflow"):
            return
        work_dir = Path(self.cfg.work_dir)
        suffixes = self._artifact_suffix if isinstance(self._artifact_suffix, str) else (*self._artifact_suffix,)
        for path in sorted(work_dir.rglob("*")):
            place = path.relative_to(work_dir)
            if path.name.endswith(suffixes) and place.parts[0] != "mlflow" and path.is_file():
                self._mlflow.log_artifact(str(path), str(place.parent) if place.parent.parts else None)
        self._mlflow.end_run()
