"""A tool in a copy of a process that has imported torch, which takes longer than what most tests try."""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

# The copies are of a process that does nothing else: of this one, which has trained, they would lack its threads.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["preloaded"])
_STARTING = threading.Lock()  # a comparison starts several trainings from threads


@cache
def _start_server() -> None:
    """Starts it where it finds what it shall import: it is not told of this process's module path."""
    before = os.environ.get("PYTHONPATH")
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), before or ""]
    os.environ["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


class Forked:
    """What tests use of :class:`subprocess.Popen`, for one process or for several that train together.

    Args:
        program: A Python file that is run as the main program.
        words: Its options.
        folder: Where it runs.
        environments: What each process has besides the environment of this one.
        apart: Whether errors are not among what it says.
    """

    def __init__(
        self,
        program: Path,
        words: Sequence[str],
        folder: Path,
        environments: Sequence[Mapping[str, str]] = ({},),
        apart: bool = False,
    ):
        with _STARTING:
            _start_server()
        self._said, errors = _file(folder), _file(folder)
        self._errors = errors if apart else None
        outputs = self._said, self._errors or self._said
        self.pid, self._processes = 0, []
        for environment in environments:
            variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
            process = _SERVER.Process(target=_be, args=(program, words, folder, variables, outputs, self.pid))
            process.start()
            if not self.pid:
                self.pid = process.pid
                _wait_for_group(self.pid)  # which the others join
            self._processes.append(process)

    @property
    def stdout(self):
        return open(self._said, encoding="utf-8", errors="replace")

    @property
    def returncode(self) -> int | None:
        """None while a process runs, then the first code that is not 0."""
        codes = [process.exitcode for process in self._processes]
        return None if None in codes else next((code for code in codes if code), 0)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = 200) -> int:
        deadline = time.monotonic() + timeout
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(str(self.pid), timeout, self.stdout.read())
        return self.returncode

    def communicate(self, timeout: float = 200) -> tuple[str, str | None]:
        self.wait(timeout)
        said, errors = (
            None if name is None else Path(name).read_text(encoding="utf-8", errors="replace")
            for name in (self._said, self._errors)
        )
        return said, errors


def _wait_for_group(pid: int) -> None:
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        while os.getpgid(pid) != pid and time.monotonic() < deadline:
            time.sleep(0.002)


def _file(folder: Path) -> str:
    handle, name = tempfile.mkstemp(dir=folder.parent)
    os.close(handle)
    return name


def _be(
    program: Path,
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    outputs: tuple[str, str],
    group: int,
) -> None:
    """Is the tool, and never returns."""
    code = 1
    try:
        if "preloaded" not in sys.modules:  # Python says nothing of what a server cannot import
            raise ImportError("tests/preloaded.py cannot be imported")
        with contextlib.suppress(OSError):  # of a group whose first process has ended
            os.setpgid(0, group)
        for number, output in enumerate(outputs, start=1):
            os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))  # torch read it before
        os.chdir(folder)
        sys.argv = [str(program), *words]
        named = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
        sys.path[:0] = [str(program.parent), *named, str(Path(__file__).parent)]
        try:
            runpy.run_path(str(program), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
