"""Trainings of the tiny detector, each in processes of its own that share what was imported before."""

import contextlib
import gc
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import torch  # noqa: E402
from disk import Disk, Harm, watched  # noqa: E402
from tiny_run import write_tiny_run  # noqa: E402

from rdet.apis.build import build_runner  # noqa: E402
from rdet.apis.cli import load_run_config  # noqa: E402
from rdet.signals import end_at_once_at_signals  # noqa: E402

_SAVES = """
_base_ = "{tiny}"
train_cfg = dict(max_iters=6, val_interval=2)
train_dataloader = dict(num_workers=0)
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=2, save_best="coco/bbox_AR@100"),
                     logger=dict(interval=2))
model = dict(postprocess=dict(max_per_img=100))  # so that a score is there, and changes
log_level = "INFO"
"""
_EPOCHS = """
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2, val_interval=1)
default_hooks = dict(checkpoint=dict(interval={interval}, by_epoch={by_epoch}, max_keep_ckpts=2,
                     save_best="coco/bbox_AR@100"), logger=dict(interval=2))
"""
_ADAMW = 'optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=0.002))\n'
_ACCUMULATED = "optim_wrapper = dict(accumulative_counts=3)\n"
_EMA = 'custom_hooks = [dict(type="EMAHook", momentum=0.1)]\n'
_HEARD = {signal.SIGTERM, signal.SIGINT}
_WORKER = "train_dataloader = dict(num_workers=1, persistent_workers=True)\n"


@dataclass(frozen=True)
class Kind:
    """A kind of training: lines of its config, options of the tool, and how many processes it has."""

    lines: str
    options: tuple[str, ...] = ()
    processes: int = 1


KINDS = {
    "sgd": Kind(_SAVES),
    "adamw, epochs": Kind(_SAVES + _EPOCHS.format(interval=1, by_epoch=None) + _ADAMW),
    "ema, within epochs": Kind(_SAVES + _EPOCHS.format(interval=3, by_epoch=False) + _EMA),
    "bfloat16": Kind(_SAVES + _ADAMW, ("--amp",)),
    "accumulated": Kind(_SAVES + _ACCUMULATED),
    "worker, ema": Kind(_SAVES + _WORKER + _EMA),
    "two processes": Kind(_SAVES + _EMA, processes=2),
    "two processes, accumulated": Kind(
        _SAVES + "optim_wrapper = dict(accumulative_counts=4)\n" + _EPOCHS.format(interval=1, by_epoch=None),
        processes=2,
    ),
}


@dataclass(frozen=True)
class Ended:
    """How a training ended.

    Attributes:
        codes: Of each process; a signal's number with a minus.
        said: All that it said.
        seconds: How long it took.
        after: Seconds from the end of the first process to that of the last.
    """

    codes: tuple[int, ...]
    said: str
    seconds: float
    after: float = 0.0

    @property
    def lines(self) -> list[str]:
        return [line for line in self.said.splitlines() if line.strip()]


class Lab:
    """Runs trainings in a folder.

    Args:
        folder: An empty one.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.tiny = write_tiny_run(folder)
        self._configs = {}
        for number, (name, kind) in enumerate(KINDS.items()):
            path = folder / f"kind_{number}.py"
            path.write_text(kind.lines.format(tiny=self.tiny))
            self._configs[name] = path
        _warm_up(self._configs["sgd"], folder / "warm")

    def train(
        self,
        kind: str,
        name: str,
        *,
        resume: bool = False,
        harm: Harm = Harm(),  # noqa: B008
        signals: tuple[int, float] | None = None,
        seconds: float = 120.0,
    ) -> Ended:
        """Trains in the work dir ``name``.

        Args:
            harm: Of the first process.
            signals: A signal's number, and how many seconds after the start all processes get it.
            seconds: When it is killed.
        """
        words = ["train.py", str(self._configs[kind]), "--work-dir", str(self.folder / name), *KINDS[kind].options]
        words += ["--resume"] if resume else []
        while (self.folder / name / time.strftime("%Y%m%d_%H%M%S")).exists():
            time.sleep(0.05)  # logs are named by the second, and these runs take about one
        return self.run(words, name, KINDS[kind].processes, harm, signals, seconds)

    def run(
        self,
        words: Sequence[str],
        name: str,
        processes: int = 1,
        harm: Harm = Harm(),  # noqa: B008
        signals: tuple[int, float] | None = None,
        seconds: float = 120.0,
        make: bool = False,
    ) -> Ended:
        """Runs a tool of ``tools/`` whose files in the folder ``name`` are watched, which is made if need be."""
        if make:
            (self.folder / name).mkdir()
        said, told, port = self.folder / f"{name}.said", self.told(name), free_port()
        said.touch()  # a process may be killed before it says anything
        begun, group, left, codes = time.monotonic(), 0, {}, {}
        for rank in range(processes):
            environment = {}
            if processes > 1:
                environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
            signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # by a tool from its first moment on; see _work
            pid = os.fork()
            if pid == 0:
                _work(words, environment, said, Disk(self.folder / name, harm if rank == 0 else Harm(), told), group)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            group = group or pid
            with contextlib.suppress(OSError):
                os.setpgid(pid, group)
            left[pid] = rank
        first_end = None
        while left:
            now = time.monotonic()
            if signals is not None and now - begun >= signals[1]:
                os.killpg(group, signals[0])
                signals = None
            if now - begun > seconds or (first_end is not None and now - first_end > 20):
                os.killpg(group, signal.SIGKILL)
            for pid in list(left):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[left.pop(pid)] = os.waitstatus_to_exitcode(status)
                    first_end = first_end or now
            time.sleep(0.002)
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)  # a worker of the dead
        end = time.monotonic()
        text = said.read_text(errors="replace")
        return Ended(tuple(codes[rank] for rank in range(processes)), text, end - begun, end - (first_end or end))

    def config(self, kind: str) -> Path:
        """Returns the config of a kind of training."""
        return self._configs[kind]

    def write_config(self, name: str, text: str) -> Path:
        """Writes a config of another kind."""
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def told(self, name: str) -> Path:
        """Returns the file in which the disk of a run has written down what it kept, and how many calls there were."""
        return self.folder / f"{name}.told"

    def calls(self, name: str) -> int:
        """Counts the calls by which a whole run wrote."""
        return max(int(line.split()[1]) for line in self.told(name).read_text().splitlines() if "calls" in line)


def _work(words: Sequence[str], environment: dict, said: Path, disk: Disk, group: int) -> None:
    """Is the tool, and never returns."""
    code = 1
    try:
        os.setpgid(0, group)
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))  # pytest has others
        os.environ.update({key: str(value) for key, value in environment.items()})
        sys.argv = [*words, *(("--launcher", "pytorch") if environment else ())]
        end_at_once_at_signals()  # the tool does when it has read its options, and nobody can before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        with watched(disk):
            try:
                runpy.run_path(str(ROOT / "tools" / words[0]), run_name="__main__")
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        disk.tell(f"calls {disk.calls}")
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _warm_up(config: Path, work_dir: Path) -> None:
    """Imports and makes what every run needs, once."""
    torch.set_num_threads(1)
    cfg = load_run_config(str(config), [], str(work_dir))
    cfg.experiment_name, cfg.log_level = f"warm_{os.getpid()}_{id(cfg)}", "ERROR"
    build_runner(cfg)
    gc.collect()
    gc.freeze()  # each data set has the collector look at all there is


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
