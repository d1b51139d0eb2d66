"""What the tests share: runs of a tiny detector, and the tools as a user starts them."""

import gc
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

# Before Triton is imported: its kernels then run in Python, on tensors of the CPU.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from forked import Forked
from tiny_run import ROOT, write_tiny_run

from rdet import registry
from rdet.apis.build import build_runner
from rdet.config import load_config

torch.set_num_threads(1)  # the networks here are so small that threads only wait for each other


def pytest_collection_finish() -> None:
    """Takes what is imported by now out of the garbage collector's sight: each data set has it look at all there is."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_custom_imports():
    """What other tests had configs import is forgotten, for messages list it, and what this one imports too."""
    registry._custom_imports.clear()
    yield
    registry._custom_imports.clear()


@pytest.fixture
def config(tmp_path, monkeypatch) -> str:
    """Path of a config whose data are 13 images with one or two bright boxes, one of them empty."""
    path = write_tiny_run(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return str(path)


@pytest.fixture
def make_runner(config, tmp_path):
    """Builds a runner of the tiny config with overrides."""
    count = 0
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic

    def make(mode: str = "train", work_dir: str = "run", tta: bool = False, **overrides):
        nonlocal count
        count += 1
        options = {key.replace("__", "."): value for key, value in overrides.items()}
        cfg = load_config(config, options)
        cfg.work_dir = str(tmp_path / work_dir)
        cfg.experiment_name = f"{tmp_path.name}_{count}"
        return build_runner(cfg, mode, tta)

    yield make
    torch.use_deterministic_algorithms(before[0])  # a run changes both for its process
    torch.backends.cudnn.deterministic = before[1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    return _free_port()


@pytest.fixture
def command(config, tmp_path):
    """Starts a tool of the checkout in a copy of a process that has imported what it needs, on one thread.

    With ``processes``, as many as torchrun would start.
    """

    def start(tool: str, *words: str, processes: int = 1) -> Forked:
        environments = [{}]
        if processes > 1:
            port = str(_free_port())
            together = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
            environments = [{**environments[0], **together, **rank} for rank in ranks]
            words = (*words, "--launcher", "pytorch")
        return Forked(ROOT / "tools" / tool, words, tmp_path, environments)

    return start


@pytest.fixture
def fresh_command(config, tmp_path):
    """Starts a tool of the checkout as a user would, on one thread: in a Python of its own."""

    def start(*words: str, shell_script: bool = False) -> subprocess.Popen:
        tool, *rest = words
        program = ["bash"] if shell_script else [sys.executable]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PORT": str(_free_port()),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        return subprocess.Popen(
            [*program, str(ROOT / "tools" / tool), *rest],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start
