"""A run that is asked to end saves what it has, says how to go on, and goes on to the same bits."""

import logging
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.reduction import DupFd
from pathlib import Path

import pytest
import torch
from mmengine.runner import ValLoop

from rdet import signals
from rdet.apis.cli import one_line_errors
from rdet.checkpoint import read_checkpoint
from rdet.engine.interrupt import leave_interrupts_to_the_run
from rdet.errors import Interrupted

FEW = {"train_cfg__max_iters": 6, "default_hooks__checkpoint__interval": 100}
FEW_EVALUATED = {"train_cfg__max_iters": 4}


def interrupt(runner, number, during):
    """Sends a signal in the third iteration: in the middle of the step, or between two."""
    train_step = runner.model.train_step

    def step(*args, **kwargs):
        losses = train_step(*args, **kwargs)
        if runner.iter == 2 and during == "step":
            os.kill(os.getpid(), number)
        return losses

    runner.model.train_step = step
    if during == "wait":
        loop = runner.build_train_loop(runner._train_loop)
        runner._train_loop, run_iter = loop, loop.run_iter

        def run(*args, **kwargs):
            run_iter(*args, **kwargs)
            if loop.iter == 3:
                runner.interruption._in_a_step = False  # it waits for the next batch
                os.kill(os.getpid(), number)

        loop.run_iter = run


@pytest.mark.parametrize("during", ["step", "wait"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_saves_and_goes_on_to_the_same_bits(make_runner, tmp_path, number, code, during):
    before = signal.getsignal(number)
    make_runner(work_dir="whole", **FEW).train()
    runner = make_runner(work_dir="cut", **FEW)
    interrupt(runner, number, during)
    with pytest.raises(
        Interrupted, match=r"stopped by SIG\w+ after iteration 3; .*iter_3\.pth is saved\. Go on with"
    ) as caught:
        runner.train()
    assert caught.value.code == code
    assert signal.getsignal(number) is before
    make_runner(work_dir="cut", resume=True, **FEW).train()
    states = [read_checkpoint(tmp_path / run / "iter_6.pth")["state_dict"] for run in ("whole", "cut")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_within_an_epoch(make_runner, tmp_path):
    epochs = {"_delete_": True, "by_epoch": True, "max_epochs": 2, "val_interval": 5}
    options = {
        "train_cfg": epochs,
        "train_dataloader__num_workers": 1,
        "default_hooks__checkpoint__by_epoch": None,
        "default_hooks__checkpoint__interval": 1,
    }
    make_runner(work_dir="whole", **options).train()
    runner = make_runner(work_dir="cut", **options)
    interrupt(runner, signal.SIGTERM, "step")
    with pytest.raises(Interrupted, match=r"iter_3\.pth is saved"):
        runner.train()
    make_runner(work_dir="cut", resume=True, **options).train()
    states = [read_checkpoint(tmp_path / run / "epoch_2.pth")["state_dict"] for run in ("whole", "cut")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_ends_in_one_line(command, config, number, code, tmp_path):
    options = ["--cfg-options", "train_cfg.max_iters=100000", "train_dataloader.num_workers=1"]
    process = command("train.py", config, "--work-dir", "run", *options)
    deadline = time.time() + 120
    while not (tmp_path / "run" / "last_checkpoint").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.time() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does: its workers get it too
    output = process.communicate(timeout=60)[0]
    assert process.returncode == code, output
    lines = [line for line in str(output).splitlines() if line.strip()]
    assert "is saved. Go on with the same command and --resume" in lines[-1]
    assert "Traceback" not in str(output)


def test_the_log_does_not_take_it_for_an_error(capfd):
    """A signal in the middle of a line of the log: Python's logging prints each error that it meets, and goes on."""

    class Stream:
        def write(self, text):
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        logging.StreamHandler(Stream()).handle(logging.LogRecord("a", 20, "a.py", 1, "text", (), None))
    assert capfd.readouterr().err == ""


def interrupt_in_another_library():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except:  # noqa: E722
        raise SyntaxError("it takes all for an error of its own")  # noqa: B904


def test_an_error_that_another_library_makes_of_it_is_not_said(make_runner, capsys, monkeypatch):
    with pytest.raises(SystemExit) as caught, one_line_errors():
        interrupt_in_another_library()
    assert caught.value.code == 143
    assert capsys.readouterr().err == "stopped by SIGTERM\n"
    runner = make_runner(train_cfg__val_interval=2, default_hooks__checkpoint__interval=2, **FEW_EVALUATED)
    monkeypatch.setattr(ValLoop, "run", lambda loop: interrupt_in_another_library())
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM after iteration 2; .*iter_2\.pth is saved"):
        runner.train()


def test_a_tool_ends_in_one_line():
    with pytest.raises(SystemExit) as caught, one_line_errors():
        signal.raise_signal(signal.SIGINT)
    assert caught.value.code == 130


def test_a_tool_that_still_imports_ends_in_one_line():
    script = (
        "import sys, os, signal, time; sys.argv = ['train.py', 'a.py']\n"
        "from rdet.args import ArgumentParser\n"
        "parser = ArgumentParser('a'); parser.add_argument('config'); parser.parse_args()\n"
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)\n"  # its imports
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (143, "stopped by SIGTERM\n")
    uncaught = script.partition("os.kill")[0] + "from rdet.errors import Interrupted; raise Interrupted(2)"
    ended = subprocess.run([sys.executable, "-c", uncaught], capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (130, "stopped by SIGINT\n")


def hand_over(name):
    """A worker that has shared a file, whose thread is asked for it on the socket ``name``."""
    leave_interrupts_to_the_run()
    address, _ = DupFd(os.open(os.devnull, os.O_RDONLY))._id
    Path(name).write_text(address)
    time.sleep(1)  # until the run has left


def test_a_run_that_leaves_in_the_middle_of_a_batch_makes_no_worker_talk(tmp_path, capfd):
    worker = multiprocessing.get_context("fork").Process(target=hand_over, args=(tmp_path / "address",))
    worker.start()
    while not (tmp_path / "address").exists() or not (address := (tmp_path / "address").read_text()):
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
    worker.join()
    assert worker.exitcode == 0
    assert capfd.readouterr().err == ""


def test_two_processes_end_together(fresh_command, config, tmp_path):
    """The first process saves, where a step of four batches is done. The signal is handed on by torchrun itself."""
    options = [
        "--work-dir",
        "run",
        "--cfg-options",
        "train_cfg.max_iters=100000",
        "optim_wrapper.accumulative_counts=4",
    ]
    process = fresh_command("dist_train.sh", config, "2", *options, shell_script=True)
    deadline = time.time() + 120
    while not (tmp_path / "run" / "last_checkpoint").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.time() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    output = str(process.communicate(timeout=60)[0])
    assert process.returncode != 0
    assert "is saved. Go on with the same command and --resume" in output
    (name,) = set(re.findall(r"(iter_\d+)\.pth is saved", output))
    assert int(name.removeprefix("iter_")) % 4 == 0
    with pytest.raises(ProcessLookupError):  # nobody of the group is left, who would go on writing
        os.killpg(process.pid, 0)


def test_an_interruption_that_python_cannot_raise_is_no_traceback(capsys):
    """As in a fork, whose callbacks must not fail."""

    class Ends:
        def __init__(self, error):
            self.error = error

        def __del__(self):
            raise self.error

    before = sys.unraisablehook
    sys.unraisablehook = signals._say_nothing_of_interruptions
    try:
        Ends(Interrupted(signal.SIGINT))
        assert capsys.readouterr().err == ""
        Ends(ValueError("another"))
        assert "ValueError: another" in capsys.readouterr().err
    finally:
        sys.unraisablehook = before
