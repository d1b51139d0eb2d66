"""Writes down what a run takes, when imported by a config's ``custom_imports``."""

import gc
import json
import os
import re
from pathlib import Path

from mmengine.hooks import Hook

from rdet.registry import HOOKS


@HOOKS.register_module()
class WriteUsage(Hook):
    """Appends a line to ``usage.json`` of the work dir every ``interval`` iterations."""

    def __init__(self, interval: int):
        self.interval = interval

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        gc.collect()
        status = Path("/proc/self/status").read_text()
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        found = {
            "MB": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
            "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
            "files": len(os.listdir("/proc/self/fd")),
            "processes": len(children),
            "shared": sum(name.startswith(f"torch_{os.getpid()}_") for name in os.listdir("/dev/shm")),
        }
        with open(Path(runner.work_dir) / "usage.json", "a") as file:
            file.write(json.dumps(found) + "\n")
