"""Checkpoints of a run: whole or not there, kept until the next is, and nobody else's."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import ValLoop

from rdet.checkpoint import read_checkpoint
from rdet.engine.checkpoint_files import newest_whole, remove_leftovers, write_checkpoint
from rdet.engine.hooks.checkpoint_hook import CheckpointHook
from rdet.errors import CheckpointError, ConfigError

SAVES = {
    "train_cfg__max_iters": 4,
    "train_cfg__val_interval": 2,
    "default_hooks__checkpoint__interval": 2,
    "default_hooks__checkpoint__max_keep_ckpts": 1,
    "default_hooks__checkpoint__save_best": "coco/bbox_mAP",
}


class PowerCut(BaseException):
    """Nothing catches it, and nothing is cleared away."""


def state_of(path):
    checkpoint = read_checkpoint(path)
    momentum = [value["momentum_buffer"] for value in checkpoint["optimizer"]["state"].values()]
    return [*checkpoint["state_dict"].values(), *momentum]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "iter_1.pth"
    path.write_text("old")

    def fill_the_disk(part):
        part.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        CheckpointError, match=r"cannot write .*iter_1\.pth \(No space left on device\); make room and go on with --res"
    ):
        write_checkpoint(path, fill_the_disk)
    assert [file.name for file in tmp_path.iterdir()] == ["iter_1.pth"]
    assert path.read_text() == "old"


def test_torchs_writer_names_the_systems_reason(tmp_path):
    def write(part):
        torch.save({"a": torch.zeros(9)}, part / "no folder")

    part = tmp_path / "a.pth"
    with pytest.raises(CheckpointError, match=r"cannot write .*a\.pth \(.+\); make room and start again$") as caught:
        write_checkpoint(part, write)
    assert "\n" not in str(caught.value)


def save(path, value):
    torch.save({"a": torch.full((1000,), float(value))}, path)
    os.utime(path, (value, value))


def test_the_newest_that_is_whole_is_found(tmp_path):
    assert newest_whole(tmp_path) == (None, [])
    for index in (1, 2, 3):
        save(tmp_path / f"iter_{index}.pth", index)
    save(tmp_path / "best_coco_bbox_mAP_iter_9.pth", 9)  # it holds weights alone
    last = tmp_path / "last_checkpoint"
    assert newest_whole(tmp_path)[0].name == "iter_3.pth"  # there is no last_checkpoint
    last.write_text(str(tmp_path / "iter_2.pth"))
    assert newest_whole(tmp_path)[0].name == "iter_2.pth"
    for text in ("", "\0", "somewhere/else/iter_3.pth"):  # a kill emptied it; the work dir was moved
        last.write_text(text)
        assert newest_whole(tmp_path)[0].name == "iter_3.pth"
    content = (tmp_path / "iter_3.pth").read_bytes()
    (tmp_path / "iter_3.pth").write_bytes(content[: len(content) // 2])
    os.utime(tmp_path / "iter_3.pth", (3, 3))
    found, passed_over = newest_whole(tmp_path)
    assert found.name == "iter_2.pth"
    (reason,) = passed_over
    assert "iter_3.pth" in reason
    last.write_text(str(tmp_path / "iter_7.pth"))
    assert newest_whole(tmp_path)[1][0].endswith("iter_7.pth is not there")


def test_one_that_only_zipfile_can_read_is_passed_over(tmp_path):
    """Bytes before the first part move all parts: Python's zipfile finds them, torch does not."""
    for index in (1, 2):
        save(tmp_path / f"iter_{index}.pth", index)
    content = (tmp_path / "iter_2.pth").read_bytes()
    (tmp_path / "iter_2.pth").write_bytes(content[:100] + content)
    found, (reason,) = newest_whole(tmp_path)
    assert found.name == "iter_1.pth"
    assert reason.endswith(
        "iter_2.pth cannot be read as a checkpoint (bytes stand before its first part); take another"
    )


def test_one_that_was_written_since_the_last_was_named_is_newer(tmp_path):
    for index in (1, 2, 3):
        save(tmp_path / f"iter_{index}.pth", index)
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_1.pth"))
    os.utime(tmp_path / "last_checkpoint", (2, 2))
    assert newest_whole(tmp_path)[0].name == "iter_3.pth"  # a kill came before its name was written
    content = (tmp_path / "iter_3.pth").read_bytes()
    (tmp_path / "iter_3.pth").write_bytes(content[: len(content) // 2])
    assert newest_whole(tmp_path)[0].name == "iter_1.pth"


@pytest.mark.parametrize("before", ["last_checkpoint", "unlink"])
def test_what_a_kill_left_undone_is_done_when_the_run_goes_on(make_runner, tmp_path, monkeypatch, before):
    """A kill comes between a checkpoint and its name in last_checkpoint, or the end of the one before."""
    options = {**SAVES, "default_hooks__checkpoint__save_best": None, "train_cfg__val_interval": 1000}

    replace, unlink = os.replace, Path.unlink

    def replace_but_last(source, target):
        if target.name == "last_checkpoint" and (tmp_path / "run/iter_4.pth").exists():
            raise PowerCut
        replace(source, target)

    def unlink_no_checkpoint(path, **options):
        if path.name == "iter_2.pth":
            raise PowerCut
        unlink(path, **options)

    with monkeypatch.context() as patched:
        if before == "unlink":
            patched.setattr(Path, "unlink", unlink_no_checkpoint)
        else:
            patched.setattr(os, "replace", replace_but_last)
        runner = make_runner(**options)
        with pytest.raises(PowerCut):
            runner.train()
    assert (tmp_path / "run/iter_2.pth").exists()
    assert (tmp_path / "run/iter_4.pth").exists()
    monkeypatch.setattr(ValLoop, "run", lambda loop: None)
    make_runner(resume=True, **options).train()
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("iter_4.pth")
    assert not (tmp_path / "run/iter_2.pth").exists()


def test_what_is_in_use_again_is_not_removed(make_runner, tmp_path):
    """Runs that go back to an earlier checkpoint write files of the same names again."""
    make_runner(**SAVES).train()
    checkpoint = torch.load(tmp_path / "run/iter_4.pth", weights_only=False)
    checkpoint["message_hub"]["runtime_info"]["saved_checkpoints"]["outdated"] = ["iter_4.pth"]
    torch.save(checkpoint, tmp_path / "run/iter_4.pth")
    make_runner(resume=True, **SAVES).train()
    assert (tmp_path / "run/iter_4.pth").exists()


def test_leftovers_of_a_kill_go_when_the_run_goes_on(make_runner, tmp_path):
    make_runner(**SAVES).train()
    part = tmp_path / "run" / ".iter_3.pth.123.part"
    part.write_text("half")
    (tmp_path / "run" / "mine.part").touch()
    make_runner(resume=True, **{**SAVES, "train_cfg__max_iters": 5}).train()
    assert not part.exists()
    assert (tmp_path / "run" / "mine.part").exists()
    remove_leftovers(tmp_path / "nowhere")


def test_a_power_cut_at_any_write_loses_nothing(make_runner, tmp_path, monkeypatch):
    """Each kill leaves a checkpoint that the run goes on from, to the same bits and the same best.

    It comes before a file is flushed, when it has no name yet, and before its folder is, when it has.
    """
    make_runner(work_dir="whole", **SAVES).train()
    best = [path.name for path in (tmp_path / "whole").glob("best_*")]
    real, unlink = os.fsync, Path.unlink

    def unlink_but_parts(path, **options):
        if not path.name.endswith(".part"):
            unlink(path, **options)

    cut_at = 0
    while True:
        cut_at += 1
        calls, name, has_been_one = 0, f"cut_{cut_at}", False

        def cut(*args, count=cut_at, folder=tmp_path / name):
            nonlocal calls, has_been_one
            calls += 1
            has_been_one |= newest_whole(folder)[0] is not None
            if calls == count:
                raise PowerCut
            return real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", cut)
            patched.setattr(Path, "unlink", unlink_but_parts)  # the dead clear nothing away
            try:
                make_runner(work_dir=name, **SAVES).train()
            except PowerCut:
                pass
            else:
                break
        assert has_been_one <= (newest_whole(tmp_path / name)[0] is not None)
        make_runner(work_dir=name, resume=newest_whole(tmp_path / name)[0] is not None, **SAVES).train()
        for one, other in zip(
            state_of(tmp_path / "whole/iter_4.pth"), state_of(tmp_path / name / "iter_4.pth"), strict=True
        ):
            assert torch.equal(one, other)
        assert set(best) <= {path.name for path in (tmp_path / name).glob("best_*")}
        shutil.rmtree(tmp_path / name)
    assert cut_at > 6


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(make_runner, tmp_path, monkeypatch):
    runner = make_runner(**SAVES)
    write, count = torch.save, 0

    def fill(*args, **kwargs):
        nonlocal count
        count += 1
        if count > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args, **kwargs)

    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(CheckpointError, match=r"cannot write .* \(No space left on device\)"):
        runner.train()
    found, passed_over = newest_whole(tmp_path / "run")
    assert (found.name, passed_over) == ("iter_2.pth", [])


def test_a_run_removes_only_what_it_wrote(make_runner, tmp_path):
    """Resumed elsewhere, or from a file that names others, it leaves the first run's checkpoints alone."""
    make_runner(work_dir="first", **SAVES).train()
    before = sorted(path.name for path in (tmp_path / "first").iterdir() if path.suffix == ".pth")
    assert len(before) == 3
    checkpoint = torch.load(tmp_path / "first/iter_4.pth", weights_only=False)
    info = checkpoint["message_hub"]["runtime_info"]
    info["best_checkpoints"] = {"coco/bbox_mAP": [-1.0, f"../first/{before[1]}"]}
    info["saved_checkpoints"] = {
        "folder": str((tmp_path / "second").resolve()),
        "names": ["../first/iter_4.pth", "..", 3],
    }
    torch.save(checkpoint, tmp_path / "hostile.pth")
    (tmp_path / "second").mkdir()
    (tmp_path / "second/iter_4.pth").write_text("of somebody else, by a name of the first run's")
    for source in ("first/iter_4.pth", "hostile.pth"):
        longer = {**SAVES, "train_cfg__max_iters": 8, "resume": True, "load_from": str(tmp_path / source)}
        make_runner(work_dir="second", **longer).train()
        assert sorted(path.name for path in (tmp_path / "first").iterdir() if path.suffix == ".pth") == before
        assert (tmp_path / "second/iter_4.pth").read_text().startswith("of somebody else")


def test_the_best_comes_along_to_another_work_dir_or_is_said_to_be_missing(make_runner, tmp_path, capfd):
    options = {**SAVES, "default_hooks__checkpoint__max_keep_ckpts": -1, "log_level": "WARNING"}
    make_runner(work_dir="first", **options).train()
    (best,) = (tmp_path / "first").glob("best_*")
    again = {**options, "resume": True, "load_from": str(tmp_path / "first/iter_4.pth")}
    for _ in range(2):
        make_runner(work_dir="second", **again).train()
        assert (tmp_path / "second" / best.name).read_bytes() == best.read_bytes()
        assert (tmp_path / "second/best.pth").samefile(tmp_path / "second" / best.name)
    assert "is written once" not in capfd.readouterr().out
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / best.name).write_text("somebody else's")
    make_runner(work_dir="third", **again).train()
    assert "best.pth is written once coco/bbox_mAP is better than" in capfd.readouterr().out
    assert (tmp_path / "third" / best.name).read_text() == "somebody else's"
    assert not (tmp_path / "third/best.pth").exists()


def test_what_cannot_be_scored_makes_no_weights_the_best(tmp_path):
    said = []
    hook = CheckpointHook(save_best="coco/bbox_mAP")
    logger = SimpleNamespace(info=said.append)
    hook._save_best(SimpleNamespace(logger=logger), "coco/bbox_mAP", {"coco/bbox_mAP": -1.0})
    assert hook.best.known == {}
    assert said == ["coco/bbox_mAP is -1, which makes no weights the best: best.pth is not written"]


@pytest.mark.parametrize("interval", [1, 2])
def test_an_evaluation_that_was_killed_is_done_first(make_runner, tmp_path, monkeypatch, interval):
    make_runner(work_dir="whole", **SAVES).train()
    evaluate, evaluated = ValLoop.run, []

    def killed(loop):
        evaluated.append(loop.runner.iter)
        if len(evaluated) == 1:
            raise PowerCut
        return evaluate(loop)

    monkeypatch.setattr(ValLoop, "run", killed)
    options = {**SAVES, "default_hooks__checkpoint__interval": interval}
    with pytest.raises(PowerCut):
        make_runner(work_dir="cut", **options).train()
    make_runner(work_dir="cut", resume=True, **options).train()
    make_runner(work_dir="cut", resume=True, **options).train()  # all is done
    assert evaluated == [2, 2, 4]
    evaluated.clear()  # and the next one is cut off
    with pytest.raises(PowerCut):
        make_runner(work_dir="cut in the last", **{**options, "train_cfg__val_interval": 4}).train()
    for _ in range(2):  # of these, the first evaluates
        make_runner(work_dir="cut in the last", resume=True, **{**options, "train_cfg__val_interval": 4}).train()
    assert evaluated == [4, 4]
    names = [sorted(path.name for path in (tmp_path / run).glob("best_*")) for run in ("whole", "cut")]
    assert names[0] == names[1]


def test_the_best_is_by_the_first_metric_that_has_a_number(tmp_path):
    hook = CheckpointHook(save_best=["first", "second"])
    hook._folder, hook.best.known = tmp_path, {"second": (0.1, "best_second_iter_1.pth")}
    for name in ("first", "second"):
        (tmp_path / f"best_{name}_iter_1.pth").write_text(name)
    hook._name_best()
    assert (tmp_path / "best.pth").read_text() == "second"
    hook.best.known["first"] = 0.2, "best_first_iter_1.pth"  # it had no number before, and is the last of the dict
    hook._name_best()
    assert (tmp_path / "best.pth").read_text() == "first"


def test_the_last_of_a_run_that_a_hook_ends_is_written(make_runner, tmp_path):
    stop = {"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP", "stopping_threshold": -1.0}
    runner = make_runner(
        train_cfg__max_iters=40, train_cfg__val_interval=2, custom_hooks=[stop], default_hooks__checkpoint__interval=40
    )
    runner.train()
    assert runner.iter == 2
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("iter_2.pth")
    assert torch.load(tmp_path / "run/iter_2.pth", weights_only=False)["meta"]["iter"] == 2


def test_the_hook_counts_as_the_run_does(make_runner, tmp_path):
    """One word of the config says whether epochs or iterations are counted."""
    counts = {"_delete_": True, "type": "CheckpointHook", "interval": 1, "save_best": None}
    make_runner(work_dir="iterations", train_cfg__max_iters=2, default_hooks__checkpoint=counts).train()
    assert sorted(path.name for path in (tmp_path / "iterations").glob("*.pth")) == ["iter_1.pth", "iter_2.pth"]
    epochs = {"_delete_": True, "by_epoch": True, "max_epochs": 2, "val_interval": 5}
    make_runner(work_dir="epochs", train_cfg=epochs, default_hooks__checkpoint=counts).train()
    assert sorted(path.name for path in (tmp_path / "epochs").glob("*.pth")) == ["epoch_1.pth", "epoch_2.pth"]
    runner = make_runner(train_cfg__max_iters=2, default_hooks__checkpoint__by_epoch=True)
    with pytest.raises(
        ConfigError, match=r"checkpoint\.by_epoch is True, but the run counts iterations .*; leave it out"
    ):
        runner.train()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rule", "better", "rule is 'better'; valid: 'greater', 'less', None"),
        ("interval", 0, "interval is 0; it must be 1 or more, or -1"),
        ("max_keep_ckpts", 0, "max_keep_ckpts is 0; it must be 1 or more, or -1"),
        ("save_begin", -1, "save_begin is -1; it must be a whole number of 0 or more"),
    ],
)
def test_values_without_a_meaning_are_said(make_runner, key, value, message):
    with pytest.raises(ConfigError, match=message):
        make_runner(**{f"default_hooks__checkpoint__{key}": value})
