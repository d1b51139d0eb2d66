"""What a line of the log says."""

import resource
import sys

import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import LogProcessor as MMLogProcessor

from rdet.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class LogProcessor(MMLogProcessor):
    """mmengine's line, with the time split in data and compute, and memory without a GPU too.

    ``time`` = ``data_time`` (waiting for the batch) + ``compute_time``, in seconds an iteration.
    ``memory`` is in MiB: the most that tensors took on the GPU, or that the process took.
    """

    def get_log_after_iter(self, runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if "time" in tag and "data_time" in tag:
            tag["compute_time"] = tag["time"] - tag["data_time"]
            line += f"  compute_time: {tag['compute_time']:.{self.num_digits}f}"
        if not torch.cuda.is_available():
            tag["memory"] = peak_process_memory()
            line += f"  memory: {tag['memory']}"
        return tag, line

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
