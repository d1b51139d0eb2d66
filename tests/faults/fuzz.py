"""Hands damaged, hostile and odd input to what reads it, and judges what comes of each.

A case succeeds, or ends in one clear line: an error of rdet, or of the system about a file, in a single line that names
the input and ends in a remedy. It runs nothing that the input says, writes nothing outside its folder, ends within a
time, takes no more than a gigabyte, and no other library speaks for rdet.

Cases are drawn from a seed and their number, so each can be repeated alone: ``python tests/faults NAME --case 17``.
"""

import contextlib
import gc
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import cv2
import torch

from rdet.errors import RdetError, is_of_a_file, is_of_memory, message_of
from rdet.messages import printable

_GIGABYTE = 2**30
_LONGEST_LINE = 2000  # characters; lists of valid names are long

# What runs a program or calls out, as Python's audit hooks name it.
_RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "pty.spawn"}
# What libraries ask about the machine.
_QUESTIONS = re.compile(r"gcc --version|git.*rev-parse|nvcc|uname|lscpu|ldconfig")
# How other libraries begin to speak.
_FOREIGN = re.compile(
    r"^(libpng|libjpeg|Corrupt JPEG|Premature end|\[ ?WARN|\[ERROR|Traceback|.*site-packages.*Warning)", re.M
)
# How a remedy is said.
REMEDY = re.compile(
    r"valid:|\b(must be|expected|did you mean|give|set|take|use|leave|remove|correct|repair|make|check|write|choose|"
    r"lower|raise|install|run|put|name|convert|copy|replace|allow|draw|needs?|add|change|split|close|train|save|resume|"
    r"start|restore|delete|download|let|derive|send|export|end|call|mend|drop)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        read: Has rdet read it.
        names: What an error must name, for example the file.
        shown: The input in a few words, for the report of a failure.
    """

    read: Callable[[], object]
    names: tuple[str, ...] = ()
    shown: str = ""


@dataclass(frozen=True)
class Reader:
    """Something of rdet that takes input from outside.

    Attributes:
        name: As the table of results calls it.
        make: Makes a case from random numbers, with its files in a folder of its own.
        cases: Of which the short version runs a third, or ten; the long one runs fifty times as many.
        seconds: How long a case may take.
    """

    name: str
    make: Callable[[Random, Path], Case]
    cases: int = 20
    seconds: float = 20.0


@dataclass(frozen=True)
class Failure:
    """A case that did not end as it must."""

    reader: str
    case: int
    why: str
    shown: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.reader}, case {self.case}: {self.why}\n    {self.shown}"


def run(reader: Reader, seed: int, cases: range) -> list[Failure]:
    """Run cases of a reader in a process of their own; one that dies or hangs is replaced."""
    failures: list[Failure] = []
    begun, shown = cases.start, ""
    while begun < cases.stop:
        ours, theirs = multiprocessing.Pipe()
        worker = multiprocessing.get_context("fork").Process(
            target=_work, args=(reader, seed, range(begun, cases.stop), theirs), daemon=True
        )
        worker.start()
        theirs.close()
        try:
            while begun < cases.stop:
                if not ours.poll(reader.seconds):
                    failures.append(Failure(reader.name, begun, f"still runs after {reader.seconds} s", shown))
                    break
                said = ours.recv()
                if isinstance(said, str):
                    shown = said
                else:
                    failures += [Failure(reader.name, begun, why, shown) for why in said]
                    begun, shown = begun + 1, ""
        except EOFError:
            worker.join()
            failures.append(Failure(reader.name, begun, f"its process died with code {worker.exitcode}", shown))
        worker.kill()
        worker.join()
        begun += begun < cases.stop
    return failures


def _work(reader: Reader, seed: int, cases: range, results) -> None:
    watch, home = _Watch(), os.getcwd()
    # Threads of the parent are missing here; whoever waits for them waits for ever.
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    gc.freeze()  # data sets collect garbage; what the imports made need not be searched each time
    address_space = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (address_space + 6 * _GIGABYTE,) * 2)  # a bomb ends here, not the machine
    for number in cases:
        tempfile.tempdir = None
        folder = Path(tempfile.mkdtemp(prefix="rdet_fault_"))
        try:
            case = reader.make(Random(f"{seed} {reader.name} {number}"), folder)
            results.send(case.shown)
            results.send(_judge(case, folder, watch))
        except BaseException:
            results.send([f"the case itself cannot be made: {traceback.format_exc(limit=-3)}"])
        finally:
            os.chdir(home)  # a case may have gone into its folder
            shutil.rmtree(folder, ignore_errors=True)


class _Watch:
    """Notes what is run and written while it looks."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._folder: Path | None = None
        sys.addaudithook(self._note)

    @contextlib.contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        self.seen, self._folder = [], folder
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            self._folder, tempfile.tempdir = None, None

    def _note(self, event: str, arguments: tuple) -> None:
        if self._folder is None:
            return
        if event in _RUNS and not _QUESTIONS.search(str(arguments[:2])):
            self.seen.append(f"runs {event} {arguments[:2]}")
        elif event == "open" and isinstance(arguments[0], str | bytes) and _writes(arguments):
            path = Path(os.fsdecode(arguments[0])).absolute()
            if not path.is_relative_to(self._folder) and not path.is_relative_to("/dev"):
                self.seen.append(f"writes {path}")


def _writes(arguments: tuple) -> bool:
    _, mode, flags = arguments
    return (
        any(letter in mode for letter in "wxa+") if isinstance(mode, str) else bool(flags & (os.O_WRONLY | os.O_RDWR))
    )


def _judge(case: Case, folder: Path, watch: _Watch) -> list[str]:
    wrong = []
    before = _peak_memory(reset=True)
    tempfile.tempdir = str(folder)  # what mmengine writes to read a config
    with _output_into(folder.parent / f"{folder.name}.txt") as said, watch.over(folder):
        try:
            case.read()
        except Exception as error:
            wrong += _judge_error(error, case)
        except BaseException as error:
            wrong.append(f"ends in {type(error).__name__}: {error}")
    if (more := _peak_memory() - before) > _GIGABYTE:
        wrong.append(f"takes {more / _GIGABYTE:.1f} GB")
    if foreign := _FOREIGN.search(said()):
        wrong.append(f"another library speaks: {foreign[0]}")
    return wrong + list(dict.fromkeys(watch.seen))


def _judge_error(error: Exception, case: Case) -> list[str]:
    said = message_of(error)
    if is_of_memory(error):
        return []  # a command says so in a line, with the remedy; which entry took it, nobody knows
    if not isinstance(error, RdetError) and not is_of_a_file(error):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return [f"a traceback: {type(error).__name__}: {said[:300]} ({Path(place.filename).name}:{place.lineno})"]
    wrong = [f"names no {name!r}: {said}" for name in case.names if printable(name) not in said]
    raw = str(error)  # in which breaks are not escaped
    for name in case.names:
        raw = raw.replace(name, "")
    if "\n" in raw and not is_of_a_file(error):
        wrong.append(f"more than a line: {said}")
    if len(said) > _LONGEST_LINE:
        wrong.append(f"a line of {len(said)} characters: {said[:300]}")
    if not is_of_a_file(error) and not REMEDY.search(said):
        wrong.append(f"no remedy: {said}")
    return wrong


def _peak_memory(reset: bool = False) -> int:
    """Return the most bytes that this process has held since the last reset."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@contextlib.contextmanager
def _output_into(path: Path) -> Iterator[Callable[[], str]]:
    """Collect what is written to standard output and error, by C libraries too; the result reads it."""
    text = ""
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield lambda: text
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(file)
        text = path.read_text(errors="replace")
        path.unlink()
