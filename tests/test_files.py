"""Files of all kinds: there as a whole or not at all, and named where they cannot be written."""

import errno
import os

import pytest
import torch

from rdet.errors import OutputError, message_of
from rdet.files import write_tensors, write_text, write_whole, writing


def fill_the_disk(part):
    part.write_text("half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"cannot write .*a\.json \(No space left on device\); make room, then start"):
        write_whole(path, fill_the_disk)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (done.append(name), real(*args)))
    write_text(tmp_path / "new" / "a.txt", "text")
    assert done == ["fsync", "replace", "fsync"]  # the file, its name, the folder that has the name
    assert (tmp_path / "new" / "a.txt").read_text() == "text"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.txt").symlink_to(tmp_path / "real" / "b.txt")
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "real" / "b.txt").read_text() == "text"


def test_what_is_no_file_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EFBIG, r"raise the limit for the size of a file \(ulimit -f\)"),
        (errno.EACCES, "make it writable, or take another path"),
    ],
)
def test_an_error_names_the_file_and_the_remedy(number, remedy):
    with pytest.raises(OutputError, match=rf"cannot write a\.txt \(.+\); {remedy}, then start again"), writing("a.txt"):
        raise OSError(number, os.strerror(number))
    of_a_file = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "b.txt")
    assert message_of(of_a_file) == "b.txt: No space left on device; make room"


def test_tensors_name_the_systems_reason(tmp_path):
    write_tensors(tmp_path / "a.pth", {"a": torch.ones(2)})
    assert torch.load(tmp_path / "a.pth")["a"].tolist() == [1, 1]
    if os.path.exists("/dev/full"):  # where a write always fails
        with pytest.raises(OutputError, match=r"cannot write /dev/full \(No space left on device\); make room"):
            write_tensors("/dev/full", {"a": torch.ones(9999)})
