"""What the tools say of options that do not exist, and of errors."""

import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from rdet import args
from rdet.apis.cli import one_line_errors, parse_options
from rdet.args import ArgumentParser
from rdet.config import load_config
from rdet.errors import BadImageError, ConfigError, DatasetError, MissingFileError, UnknownNameError

ROOT = Path(__file__).resolve().parents[2]
_LESS_MEMORY = "lower batch_size or the size of images, or train with --amp"
_MORE = f"there is no memory for {{}} more; {_LESS_MEMORY}"


def test_misspelled_option_names_the_nearest(capsys):
    parser = ArgumentParser("test")
    parser.add_argument("--resume")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--resum", "x"])
    assert "there is no option --resum. Did you mean --resume?" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--xyz"])
    assert re.search(r"there is no option --xyz\. Take one that \S+ --help lists\.$", capsys.readouterr().err.strip())


@pytest.mark.parametrize("tool", ["train.py", "test.py", "infer.py", "print_config.py", "make_quickstart.py"])
def test_help_imports_no_torch(tool):
    code = (
        "import sys, runpy; sys.argv = ['tool', '--help']\n"
        f"try: runpy.run_path({str(ROOT / 'tools' / tool)!r}, run_name='__main__')\n"
        "except SystemExit as end: print('torch' in sys.modules, end.code)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "False 0"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2.5", -2.5),
        ("1e-3", 1e-3),
        ("None", None),
        ("true", True),
        ("name", "name"),
        ("", ""),
        ("my data/a b", "my data/a b"),
        ("'2'", "2"),
        ("007", "007"),
        ("it's here [1]", "it's here [1]"),
        ("a=b", "a=b"),
        ("1,2", [1, 2]),
        ("[1,2]", [1, 2]),
        ("[]", []),
        ("(3,4)", (3, 4)),
        ("(3,)", (3,)),
        ("[my data/a.json, 'b,c']", ["my data/a.json", "b,c"]),
        ("[(1333,640),(1333,800)]", [(1333, 640), (1333, 800)]),
        ("dict(type=CocoMetric)", {"type": "CocoMetric"}),
        ("dict(classes=('cat', big dog))", {"classes": ("cat", "big dog")}),
        ("[dict(type='EMAHook',momentum=0.02)]", [{"type": "EMAHook", "momentum": 0.02}]),
        ("{'a': 1, b: {c: [2]}}", {"a": 1, "b": {"c": [2]}}),
    ],
)
def test_what_a_value_is_read_as(text, value):
    assert parse_options([f"a.b={text}", "c=1"]) == {"a.b": value, "c": 1}


@pytest.mark.parametrize(
    "text", ["[1,2", "[1] 2", "[a[b]]", "dict(a)", "{a:1,a:2}", "{[1]:2}", "(" * 9999, "9" * 9999, "[1]]"]
)
def test_a_value_that_is_not_understood_is_said(text):
    with pytest.raises(ConfigError, match=r"^--cfg-options a\.b: .* is not understood \(.*\); put texts with"):
        parse_options([f"a.b={text}"])


def test_the_last_of_an_option_counts():
    assert parse_options([]) == {}
    assert parse_options(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


def test_option_without_a_value_is_an_error():
    with pytest.raises(ValueError, match="--cfg-options a.b: expected KEY=VALUE"):
        parse_options(["a.b"])


def test_error_of_rdet_is_one_line(capsys):
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        load_config("not/there.py")
    remedy = "give the path of a file, or a name that 'rdet configs' lists"
    assert capsys.readouterr().err == f"error: no config at not/there.py; {remedy}\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        1 / 0  # noqa: B018


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv("RDET_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError), one_line_errors():
        load_config("not/there.py")


def run_as(name: str, source: str):
    """Runs code as if it stood in a file of the project."""
    exec(compile(source, str(ROOT / name), "exec"), {})


@pytest.mark.parametrize(
    "source", ["{}['inputs']", "1 // 0", "None.get", "len(3)", "raise ValueError('so')", "raise NotImplementedError"]
)
@pytest.mark.parametrize("name", ["rdet/apis/cli.py", "tools/test.py", "my_loss.py"])
def test_a_bug_keeps_its_traceback_wherever_it_is(name, source):
    with pytest.raises((LookupError, ArithmeticError, AttributeError, TypeError, ValueError, RuntimeError)):  # noqa: SIM117
        with one_line_errors():
            run_as(name, source)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("so it is"), "so it is"),
        (UnknownNameError("no key 'a'.\nValid: 'b'."), "no key 'a'.\\nValid: 'b'."),
        (BadImageError("a.png: truncated", "truncated"), "a.png: truncated"),
        (ConfigError(), "ConfigError"),
        (ConfigError("\n"), "ConfigError"),
        (UnknownNameError(), "UnknownNameError"),
        (MemoryError(), f"there is no memory; {_LESS_MEMORY}"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0"), _MORE.format("2.00 GiB")),
        (RuntimeError("can't allocate memory: you tried to allocate 2457 bytes. Error"), _MORE.format("2457 bytes")),
    ],
)
def test_what_is_raised_on_purpose_is_said_and_never_nothing(capsys, error, said):
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        raise error
    assert capsys.readouterr().err == f"error: {said}\n"


class Failing:
    """A data set that fails as it is told to."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise OSError("underneath")
        except OSError as cause:
            raise self.error from cause


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DatasetError("a.json: no such file"), "a.json: no such file"),
        (BadImageError("a.png: DatasetError: odd", "missing"), "a.png: DatasetError: odd"),
        (UnknownNameError("no key 'a'.\nValid: 'b'."), "no key 'a'.\\nValid: 'b'."),
        (MissingFileError("no image at a.png"), "no image at a.png"),
        (ConfigError(), "ConfigError"),
    ],
)
def test_error_of_a_loaders_worker_is_one_line(capsys, error, said):
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        list(DataLoader(Failing(error), num_workers=1))
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize("error", [KeyError("inputs"), ValueError("shapes"), ZeroDivisionError()])
def test_bug_in_a_loaders_worker_keeps_its_traceback(error):
    with pytest.raises(type(error), match="Original Traceback"), one_line_errors():
        list(DataLoader(Failing(error), num_workers=1))


def test_error_of_several_processes_is_one_line_each(command, config, tmp_path):
    (tmp_path / "5.png").write_bytes(b"")
    options = ["--cfg-options", "train_dataloader.num_workers=1", "log_level=ERROR"]
    process = command("train.py", config, *options, processes=2)
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert lines, output
    named = {line.partition(" (0 bytes)")[0] for line in lines if "another process of this run has ended" not in line}
    assert named == {f"error: {tmp_path / '5.png'}: not an image that OpenCV can decode"}
    assert "RuntimeError" not in output  # what gloo says to the one that is left


def test_a_file_that_the_system_refuses_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        (tmp_path / "file" / "folder").mkdir()
    remedy = "remove the file that has the name of a folder of it, or take another path"
    assert capsys.readouterr().err == f"error: {tmp_path / 'file' / 'folder'}: Not a directory; {remedy}\n"


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (args.count, {"1": 1, "30": 30}, ["0", "-1", "nan", "1.5", "", "a", "9" * 30]),
        (args.between(0, 3), {"0": 0, "3": 3}, ["4", "-1", "x"]),
        (args.seed, {"0": 0, "4294967295": 2**32 - 1}, ["-1", "4294967296", "1e3"]),
        (args.score, {"0": 0.0, "0.3": 0.3, "1": 1.0}, ["nan", "inf", "-0.1", "1.01", "", "a"]),
        (args.existing, {"file": "file", "folder": "folder", "mmdet://x": "mmdet://x"}, ["pipe", "", " ", "\0"]),
        (args.file_to_read, {"file": "file", "not/there": "not/there"}, ["folder", "pipe", ""]),
        (args.file_to_write, {"file": "file", "new/x.json": "new/x.json"}, ["folder", "new/", "pipe", "file/x", ""]),
        (args.file_ending_in(".html", ".htm"), {"new/x.HTML": "new/x.HTML"}, ["file/x.htm"]),
        (args.folder_to_write, {"folder": "folder", "new": "new"}, ["file", "pipe", "file/x", ""]),
        (args.path_of(args.folder_to_write), {"new": Path("new")}, ["file"]),
    ],
)
def test_values_of_options(kind, right, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert {text: kind(text) for text in right} == right
    for text in wrong:
        with pytest.raises(argparse.ArgumentTypeError, match=rf"^{re.escape(repr(text))} must be \w"):
            kind(text)


@pytest.mark.parametrize(
    ("command", "words", "valid"),
    [
        ("test", ["c.py", "x.pth", "--out", "results"], ".json"),
        ("report", ["r.json", "--out", "page"], ".html or .htm"),
        ("report", ["r.json", "--json", "page.html"], ".json"),
        ("browse", ["c.py", "--out", "sheet"], ".jpg or .jpeg or .png or .webp or .bmp or .tif or .tiff"),
        ("browse", ["c.py", "--html", "sheet.jpg"], ".html or .htm"),
        ("check", ["c.py", "--html", "page"], ".html or .htm"),
        ("analysis_tools.analyze_logs", ["plot_curve", "run", "--out", "curves"], ".png or .svg or .pdf"),
    ],
)
def test_a_file_whose_name_does_not_say_what_it_is_is_refused_at_once(command, words, valid, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [command, *words])
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(f"rdet.commands.{command}").parse_args()
    assert capsys.readouterr().err.endswith(f"error: argument {words[-2]}: {words[-1]!r} must end in {valid}\n")


def test_one_word_too_many_is_named(capsys):
    parser = ArgumentParser("test")
    parser.add_argument("--resume")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["word"])
    assert capsys.readouterr().err.endswith("error: 'word' is one argument too many; leave it out\n")


def test_a_long_value_is_cut():
    with pytest.raises(argparse.ArgumentTypeError, match=r"^'a{100}\.\.\.' must be the name of a file$"):
        args.file_to_write("a" * 300)
