"""What a run says of itself, and where it goes."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine import runner as mm
from mmengine.dist import master_only

from rdet.engine.building import building
from rdet.engine.log_files import LocalVisBackend, end_run_if_log_is_lost, how_to_go_on, keep_details_in_the_file
from rdet.engine.tracked_runs import TrackedRuns
from rdet.engine.vis_backends import check_packages
from rdet.files import write_text


class LoggingRunner(mm.Runner):
    """mmengine's Runner with a log that a person reads, in files that are whole or end the run in a line."""

    build_log_processor = building("log_processor", mm.Runner.build_log_processor)

    def build_visualizer(self, visualizer=None):
        built = building("visualizer", super().build_visualizer)(visualizer)
        check_packages(built)
        runs = TrackedRuns(self.work_dir, bool(self.cfg.get("resume")))
        for backend in built._vis_backends.values():
            if isinstance(backend, LocalVisBackend):
                backend.then = self._how_to_go_on
            elif hasattr(type(backend), "runs"):
                backend.runs = runs
        return built

    def build_logger(self, *args, **kwargs):
        logger = super().build_logger(*args, **kwargs)
        end_run_if_log_is_lost(logger, self._how_to_go_on)
        keep_details_in_the_file(logger)
        return logger

    def _log_env(self, env_cfg: dict) -> None:
        # mmengine calls each process a GPU, and NCCL what joins them.
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
        of_the_run = {
            **{key: value for key, value in env_cfg.items() if key != "dist_cfg" or self.distributed},
            "seed": self.seed,
            "deterministic": self.deterministic,
            "launcher": self.launcher,
            "processes": self.world_size,
            "GPU": device,
            "threads": torch.get_num_threads(),
        }
        lines = [f"    {key}: {value}" for key, value in mm.runner.collect_env().items()]
        lines += ["", "Run:", *(f"    {key}: {value}" for key, value in of_the_run.items())]
        dashes = "-" * 60
        self.logger.info("\n".join(["", dashes, "System environment:", *lines, dashes]))
        if self.cfg._cfg_dict:
            self.logger.info(f"Config:\n{self.cfg.pretty_text}")

    @master_only
    def dump_config(self) -> None:
        name = Path(self.cfg.filename).name if self.cfg.filename else f"{self.timestamp}.py"
        write_text(Path(self.work_dir) / name, self.cfg.pretty_text, self._how_to_go_on())

    @property
    def _how_to_go_on(self) -> Callable[[], str]:
        """What says how to go on when the disk is full; loggers outlive the Runner, so it does not hold it."""
        return functools.partial(how_to_go_on, self.work_dir, self._train_loop is not None)
