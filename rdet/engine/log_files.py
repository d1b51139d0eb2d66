"""The files of a run's log: when one cannot be written, the run ends in a line that names it."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from mmengine.visualization import LocalVisBackend as MMLocalVisBackend

from rdet.engine.checkpoint_files import holds_checkpoint
from rdet.files import write_text, writing
from rdet.registry import VISBACKENDS

GO_ON, AGAIN = "then go on with --resume", "then start again"


def how_to_go_on(work_dir: str, is_training: bool) -> str:
    """Say what to do once the disk is no longer full: a training that has saved something can be resumed."""
    return GO_ON if is_training and holds_checkpoint(work_dir) else AGAIN


@VISBACKENDS.register_module()
class LocalVisBackend(MMLocalVisBackend):
    """mmengine's, which has ``scalars.json`` and the config.

    Attributes:
        then: Says what to do when the disk is no longer full; the Runner sets it.
    """

    then: Callable[[], str] = staticmethod(lambda: AGAIN)

    def add_config(self, config, **kwargs) -> None:
        write_text(Path(self.experiment._config_save_file), config.pretty_text, self.then())

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        with writing(file_path, self.then()):
            super()._dump(value_dict, file_path, file_format)


def end_run_if_log_is_lost(logger: logging.Logger, then: Callable[[], str]) -> None:
    """Have a logger raise when its file cannot be written; Python's prints a traceback and goes on.

    Args:
        logger: Of the run.
        then: Says what to do when it can be written again.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _raise_of(handler.baseFilename, handler.handleError, then)


# How what mmengine logs begins that a person looks up, and does not read before each run.
_DETAILS = (
    f"\n{'-' * 60}\nSystem environment:",
    "Config:\n",
    "Hooks will be executed",
    "Distributed training is not used",
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)


def keep_details_in_the_file(logger: logging.Logger) -> None:
    """Have a logger show on the terminal what a person reads, unless it shows all (``log_level = "DEBUG"``)."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
            handler.addFilter(lambda record: not record.getMessage().startswith(_DETAILS))


def _raise_of(path: str, otherwise, then: Callable[[], str]):
    def handle(record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return otherwise(record)
        with writing(path, then()):
            raise error

    return handle
