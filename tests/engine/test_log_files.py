"""A log that cannot be written ends the run, in one line; what it says of evaluations outlives a power cut."""

import builtins
import errno
import io
import os
from pathlib import Path

import pytest
from mmengine.runner import ValLoop

from rdet.errors import OutputError

SHORT = {"train_cfg__max_iters": 2, "train_dataloader__num_workers": 0, "log_level": "INFO"}


class Full(io.FileIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def fill(monkeypatch):
    """Has the disk be full for files of a name."""

    def fill_for(ends):
        real = io.open

        def open_full(file, mode="r", *args, **options):
            if str(file).endswith(ends) and set(mode) & set("wa"):
                return io.TextIOWrapper(io.BufferedWriter(Full(file, "w")))
            return real(file, mode, *args, **options)

        monkeypatch.setattr(builtins, "open", open_full)
        monkeypatch.setattr(io, "open", open_full)

    return fill_for


@pytest.mark.parametrize(("ends", "named"), [(".log", r"\.log"), ("scalars.json", r"scalars\.json")])
@pytest.mark.parametrize("saved", [False, True])
def test_a_full_disk_is_one_line(make_runner, fill, ends, named, saved, tmp_path):
    """What can be done depends on what was saved: there may be nothing to resume."""
    if saved:
        (tmp_path / "run").mkdir()
        (tmp_path / "run/iter_1.pth").touch()
    fill(ends)
    then = "go on with --resume" if saved else "start again"
    with pytest.raises(
        OutputError, match=rf"cannot write .*{named} \(No space left on device\); make room, then {then}$"
    ):
        make_runner(default_hooks__logger__interval=1, **SHORT).train()


@pytest.mark.parametrize(("ends", "named"), [(".log", r"\.log"), (".json", r"\.json")])
def test_a_test_is_not_resumed(make_runner, fill, ends, named, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/iter_1.pth").touch()
    fill(ends)
    with pytest.raises(
        OutputError, match=rf"cannot write .*{named} \(No space left on device\); make room, then start"
    ):
        make_runner("test", log_level="INFO").test()


@pytest.mark.parametrize("name", ["config.py", "tiny.py"])
def test_a_config_is_written_whole(make_runner, tmp_path, monkeypatch, name):
    write = Path.write_text

    def fail(path, text, **options):
        if name not in path.name:
            return write(path, text, **options)
        write(path, "half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OutputError, match=rf"cannot write .*{name} \(No space left on device\); make room"):
        make_runner(**SHORT)
    assert not list(tmp_path.glob(f"run/**/{name}"))


def test_an_evaluation_is_on_the_disk_before_a_checkpoint_says_so(make_runner, tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def fsync(descriptor):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    evaluate = ValLoop.run
    monkeypatch.setattr(ValLoop, "run", lambda loop: (flushed.clear(), evaluate(loop)))
    monkeypatch.setattr(os, "fsync", fsync)
    make_runner(
        train_cfg__val_interval=2, default_hooks__checkpoint__interval=2, train_cfg__max_iters=2, log_level="INFO"
    ).train()
    checkpoint = next(name for name in flushed if name.startswith(".iter_2.pth"))
    assert "scalars.json" in flushed[: flushed.index(checkpoint)]
