"""A disk that fills up, or a process that dies, at a chosen call of those that write below a folder."""

import builtins
import contextlib
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Harm:
    """What happens at a call that writes.

    Attributes:
        kind: ``kill``: the process is killed; ``power``: with it all is lost that was not flushed to the disk;
            ``full``: from this call on nothing more can be written; a signal's name: all processes of the run get it;
            ``none``: nothing, it is the disk itself that fills up.
        at: Number of the call, from 1; 0: none.
        torn: Whether half of what the call writes is written.
    """

    kind: str = "kill"
    at: int = 0
    torn: bool = False


class Disk:
    """Counts the calls by which this process writes below a folder, and does harm at one of them.

    Args:
        folder: Its files are watched.
        harm: What happens when.
        told: A file outside, to which each checkpoint is written down that is safe from the harm.
    """

    def __init__(self, folder: Path, harm: Harm, told: Path):
        self.folder, self.harm = folder.resolve(), harm
        self.calls = 0
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._unflushed: set[Path] = set()
        self._flushed: dict[Path, int] = {}  # file: how much of it is on the disk
        self._renamed: list[tuple[Path, Path, Path | None]] = []  # from, to, what was there

    def tell(self, text: str) -> None:
        os.write(self._told, f"{text}\n".encode())

    def call(self, name: str, path: Path, half: Callable[[], int] = lambda: 0) -> int:
        """Counts one call, before it is done; ``half`` does half of it.

        Returns:
            How many bytes of it are written: a process may outlive a signal, and goes on with the rest.
        """
        done = 0
        self.calls += 1
        if self.harm.kind == "full":
            if self.harm.at and self.calls >= self.harm.at and name != "unlink":
                if self.harm.torn and self.calls == self.harm.at:
                    half()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([str(path)] if name == "open" else []))
        elif self.calls == self.harm.at:
            if self.harm.torn:
                done = half()
            self._end(f"{name} {path.name}")
        return done

    def _end(self, where: str) -> None:
        self.tell(f"harm {where}")
        if self.harm.kind == "power":
            self._lose_what_was_not_flushed()
        if self.harm.kind in ("kill", "power"):
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(0, signal.Signals[self.harm.kind])

    def _lose_what_was_not_flushed(self) -> None:
        for path in self._unflushed:
            if path.exists():
                os.truncate(path, (self._flushed.get(path, 0) + path.stat().st_size) // 2)
        for source, target, before in reversed(self._renamed):
            if target.exists():
                _REAL["replace"](target, source)
            if before is not None:
                _REAL["replace"](before, target)

    def watches(self, path: object) -> Path | None:
        """Returns the path if it is below the folder."""
        if not isinstance(path, str | os.PathLike):
            return None
        full = Path(os.path.abspath(path))
        return full if full.is_relative_to(self.folder) else None

    def has_written(self, path: Path) -> None:
        self._unflushed.add(path)

    def has_flushed(self, path: Path) -> None:
        self._unflushed.discard(path)
        if path.is_file():
            self._flushed[path] = path.stat().st_size
        else:
            for _, target, before in self._renamed:
                if before is not None:
                    before.unlink(missing_ok=True)
                self._tell_if_checkpoint(target)
            self._renamed = [renamed for renamed in self._renamed if renamed[1].parent != path]

    def keep_before_rename(self, source: Path, target: Path) -> None:
        before = None
        if target.exists() and self.harm.kind == "power":
            before = self.folder.parent / f".before_{self.calls}_{target.name}"
            os.link(target, before)
        self._renamed.append((source, target, before))

    def has_renamed(self, source: Path, target: Path) -> None:
        self._flushed[target] = self._flushed.pop(source, 0)
        if source in self._unflushed:
            self._unflushed.discard(source)
            self._unflushed.add(target)
        if self.harm.kind != "power":
            self._tell_if_checkpoint(target)

    def _tell_if_checkpoint(self, path: Path) -> None:
        if path.suffix == ".pth" and path.name.startswith(("iter_", "epoch_")):
            self.tell(f"kept {path.name}")


_REAL = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "unlink", "remove", "mkdir")}


@contextlib.contextmanager
def watched(disk: Disk) -> Iterator[None]:
    """Has what is written inside go through a disk."""
    real_open, real_save = io.open, torch.save

    class Raw(io.FileIO):
        path: Path

        def write(self, data) -> int:
            content = bytes(data)
            done = disk.call("write", self.path, lambda: super(Raw, self).write(content[: len(content) // 2]))
            disk.has_written(self.path)
            return done + super().write(content[done:])

    def open_watched(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        path = disk.watches(file)
        if path is None or not set(mode) & set("wax+"):
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        disk.call("open", path)
        raw = Raw(path, mode.replace("b", "").replace("t", ""))
        raw.path = path
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def save(content, file, *args, **kwargs):  # torch's own writer of files is written in C++
        if disk.watches(file) is None or disk.harm.kind == "none":
            return real_save(content, file, *args, **kwargs)
        with open_watched(file, "wb") as opened:
            return real_save(content, opened, *args, **kwargs)

    def fsync(descriptor):
        path = disk.watches(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path is not None:
            disk.call("fsync", path)
        _REAL["fsync"](descriptor)
        if path is not None:
            disk.has_flushed(path)

    def rename(source, target, **options):
        path = disk.watches(target)
        if path is not None:
            disk.call("rename", path)
            disk.keep_before_rename(Path(source), path)
        _REAL["replace"](source, target, **options)
        if path is not None:
            disk.has_renamed(Path(source), path)

    def unlink(file, **options):
        if (path := disk.watches(file)) is not None:
            disk.call("unlink", path)
        _REAL["unlink"](file, **options)

    def mkdir(file, *args, **options):
        if (path := disk.watches(file)) is not None and not path.is_dir():
            disk.call("open", path)
        _REAL["mkdir"](file, *args, **options)

    builtins.open = io.open = open_watched
    torch.save = save
    os.fsync, os.replace, os.rename, os.unlink, os.remove, os.mkdir = fsync, rename, rename, unlink, unlink, mkdir
    try:
        yield
    finally:
        builtins.open = io.open = real_open
        torch.save = real_save
        for name, function in _REAL.items():
            setattr(os, name, function)
