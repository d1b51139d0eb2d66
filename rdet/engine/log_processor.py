"""What a line of the log says."""

import inspect
import resource
import sys
from typing import Any, Literal

import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import LogProcessor as MMLogProcessor

from rdet.errors import ConfigError
from rdet.messages import nearest
from rdet.registry import LOG_PROCESSORS
from rdet.schema import Count, Natural, check_value


@LOG_PROCESSORS.register_module()
class LogProcessor(MMLogProcessor):
    """mmengine's line, with the time split in data and compute, and memory without a GPU too.

    ``time`` = ``data_time`` (waiting for the batch) + ``compute_time``, in seconds an iteration.
    ``memory`` is in MiB: the most that tensors took on the GPU, or that the process took.

    Raises:
        ConfigError: An entry of ``custom_cfg`` asks for a statistic that there is not.
    """

    def __init__(
        self,
        window_size: Count = 10,
        by_epoch: bool = True,
        custom_cfg: list[dict[str, Any]] | None = None,
        num_digits: Natural = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r".*(loss|time|data_time|grad_norm).*",
    ):
        super().__init__(window_size, by_epoch, custom_cfg, num_digits, log_with_hierarchy, mean_pattern)
        self._has_logged = False

    def get_log_after_iter(self, runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if not self._has_logged:
            self._has_logged = True
            self._warn_of_unknown_sources(runner)
        if "time" in tag and "data_time" in tag:
            tag["compute_time"] = tag["time"] - tag["data_time"]
            line += f"  compute_time: {tag['compute_time']:.{self.num_digits}f}"
        if not torch.cuda.is_available():
            tag["memory"] = peak_process_memory()
            line += f"  memory: {tag['memory']}"
        return tag, line

    def _check_custom_cfg(self) -> None:
        """Check the entries in place of mmengine, which does it with bare assertions."""
        names: list[str] = []
        for index, entry in enumerate(self.custom_cfg):
            _check_entry(entry, f"log_processor.custom_cfg.{index}")
            names.append(entry.get("log_name", entry["data_src"]))
            if names.count(names[-1]) > 1:
                raise ConfigError(
                    f"log_processor.custom_cfg.{index} has the name of another entry, {names[-1]!r}; give it a log_name"
                )

    def _warn_of_unknown_sources(self, runner) -> None:
        """Say which entries have nothing to tell so far; what an evaluation logs comes later."""
        known = [name.partition("/")[2] for name in runner.message_hub.log_scalars]
        for index, entry in enumerate(self.custom_cfg):
            if entry["data_src"] not in known:
                runner.logger.warning(
                    f"log_processor.custom_cfg.{index}.data_src is {entry['data_src']!r}, which no training step logs. "
                    f"{nearest(entry['data_src'], known)}"
                )

    def forget(self, message_hub: MessageHub, batches: int) -> None:
        """Keep of the log's history what later lines need, so that checkpoints do not grow with each iteration.

        That is a window of values; all where a line says something of the whole run, ``window_size="global"``.

        Args:
            message_hub: Holds the history.
            batches: Of an epoch, which lines with ``window_size="epoch"`` are about.
        """
        windows = [self.window_size, *(entry.get("window_size") or 1 for entry in self.custom_cfg)]
        if "global" in windows:
            return
        longest = max(batches if window == "epoch" else window for window in windows)
        for name, history in list(message_hub.log_scalars.items()):
            values, counts = history.data
            if len(values) > longest:
                message_hub.log_scalars[name] = HistoryBuffer(values[-longest:], counts[-longest:])


def peak_process_memory() -> int:
    """Return the most memory that this process ever took, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB


def _check_entry(entry: dict[str, Any], where: str) -> None:
    """Raise ConfigError unless an entry names a value of the log and a statistic of it, with what that one takes."""
    methods = HistoryBuffer([1.0], [1])._statistics_methods
    check_value(entry, dict, where)
    for key in ("data_src", "method_name"):
        check_value(entry.get(key), str, f"{where}.{key}")
    name = entry["method_name"]
    if name not in methods:
        raise ConfigError(f"{where}.method_name is {name!r}. {nearest(name, methods)}")
    taken = [*inspect.signature(methods[name]).parameters][1:]
    for key, value in entry.items():
        if key not in ("data_src", "method_name", "log_name", *taken):
            raise ConfigError(f"{where}.{key}: {name!r} does not take it; it takes {', '.join(taken) or 'nothing'}")
        if key == "window_size":
            check_value(value, Count | Literal["epoch", "global"], f"{where}.{key}")
        elif key == "log_name":
            check_value(value, str, f"{where}.{key}")
