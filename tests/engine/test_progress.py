"""What a person sees on the terminal before and during a run, and what is in the file alone."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
import time

import pytest
import torch
from tiny_run import ROOT

from rdet.apis.run_summary import operations_of
from rdet.engine import busy
from rdet.engine.busy import BusyMachine
from rdet.engine.log_files import keep_details_in_the_file
from rdet.models.detectors.data_preprocessor import DetDataPreprocessor


def test_a_run_begins_with_less_than_forty_lines(command, config, tmp_path):
    options = ["log_level=INFO", "train_cfg.max_iters=2", "param_scheduler=[]"]
    output, _ = (process := command("train.py", config, "--cfg-options", *options)).communicate(timeout=200)
    assert process.returncode == 0, output
    before = output.partition("Iter(train)")[0]
    assert len(before.splitlines()) < 40, before
    assert re.search(
        r"OneStageDetector \(TinyBackbone, FPN, RetinaHead\): .* parameters, .* operations an image", before
    )
    assert re.search(r"on cpu with 1 of \d+ threads", before)
    assert "2 iterations, an epoch has 7; 2 images a step; SGD with a rate of 0.02" in before
    assert "System environment" not in output
    assert "FileClient" not in output
    assert "\x1b" not in output  # the line that is written over is for terminals
    (log,) = (tmp_path / "work_dirs/tiny").glob("*/*.log")
    written = log.read_text()
    assert all(
        text in written for text in ("System environment", "Config:\n", "Hooks will be executed", "launcher: none")
    )
    assert "GPU number" not in written
    assert output.rstrip().endswith(f"checkpoints: {tmp_path / 'work_dirs/tiny'}, log: {log.parent}")


def test_a_log_of_all_shows_all():
    shown = {}
    for level in (logging.INFO, logging.DEBUG):
        logger, stream = logging.Logger("x"), io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setLevel(level)
        logger.addHandler(handler)
        keep_details_in_the_file(logger)
        logger.info("Config:\nmodel = 3")
        logger.info("Configurations")
        shown[level] = stream.getvalue()
    assert shown == {logging.INFO: "Configurations\n", logging.DEBUG: "Config:\nmodel = 3\nConfigurations\n"}


def test_a_finished_run_says_so(make_runner, capsys):
    run = {"train_cfg__max_iters": 1, "log_level": "INFO", "param_scheduler": []}
    make_runner(**run).train()
    capsys.readouterr()
    make_runner(**run, resume=True).train()
    said = capsys.readouterr().out
    assert "the run is finished, its 1 iterations are done" in said
    assert "Iter(train)" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
def test_a_terminal_has_one_line_of_progress(config, tmp_path):
    words = [sys.executable, str(ROOT / "tools/train.py"), config, "--cfg-options", "log_level=INFO"]
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        try:
            while chunk := os.read(ours, 65536):
                said += chunk
        except OSError:  # Linux says the end so
            pass
    os.close(ours)
    assert process.returncode == 0, said
    said = said.decode()
    assert re.search(r"\r\x1b\[Ktraining \[#{20}\] 6/6  [\d.]+ s an iteration, 00:00:00 left", said)
    assert re.search(r"\r\x1b\[Kevaluation \[#{20}\] 7/7", said)
    for line in re.split(r"\r?\n", said):  # erased before each line of the log
        assert " an iteration" not in line.rpartition("\r\x1b[K")[2], line


@pytest.mark.parametrize(
    ("load", "use", "threads", "workers", "said"),
    [
        (4.0, 0.5, 2, 0, True),
        (4.0, 0.9, 2, 0, False),
        (2.0, 0.5, 2, 0, False),  # its own threads
        (4.0, 0.5, 2, 2, False),  # its own workers
        (4.0, 0.5, 1, 0, False),
    ],
)
def test_a_busy_machine_is_said_once(monkeypatch, load, use, threads, workers, said):
    clock = iter(range(0, 1000, 10))
    now = {"wall": 0.0}
    monkeypatch.setattr(time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(time, "process_time", lambda: now["wall"] * threads * use)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    machine = BusyMachine(workers)
    doubts = []
    for _ in range(3):
        now["wall"] = float(next(clock)) + 10
        doubts.append(machine.doubt())
    assert [doubt is not None for doubt in doubts] == [said, False, False]
    assert not said or "OMP_NUM_THREADS=1" in doubts[0]
    assert busy._FEWEST_SECONDS < 10


def test_operations_are_counted_for_as_many_channels_as_the_images_have(make_runner):
    grey = {"mean": [0.0], "std": [1.0], "bgr_to_rgb": False}
    model = make_runner("test").model
    assert operations_of(model, (64, 64)) > 0
    model.data_preprocessor = DetDataPreprocessor(**grey)
    assert operations_of(model, (64, 64)) is None  # its first convolution takes three
