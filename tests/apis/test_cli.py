"""What the tools say of options that do not exist, and of errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from rdet.apis.cli import one_line_errors, parse_options
from rdet.args import ArgumentParser
from rdet.config import load_config

ROOT = Path(__file__).resolve().parents[2]


def test_misspelled_option_names_the_nearest(capsys):
    parser = ArgumentParser("test")
    parser.add_argument("--resume")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--resum", "x"])
    assert "there is no option --resum. Did you mean --resume?" in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["train.py", "test.py", "infer.py", "print_config.py", "make_quickstart.py"])
def test_help_imports_no_torch(tool):
    code = (
        "import sys, runpy; sys.argv = ['tool', '--help']\n"
        f"try: runpy.run_path({str(ROOT / 'tools' / tool)!r}, run_name='__main__')\n"
        "except SystemExit as end: print('torch' in sys.modules, end.code)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "False 0"


def test_options_are_parsed():
    options = parse_options(["a.b=1", "c=[1,2]", "d=None", "e=name", "f=(3,4)"])
    assert options == {"a.b": 1, "c": [1, 2], "d": None, "e": "name", "f": (3, 4)}
    assert parse_options([]) == {}


def test_option_without_a_value_is_an_error():
    with pytest.raises(ValueError, match="--cfg-options a.b: expected KEY=VALUE"):
        parse_options(["a.b"])


def test_error_of_rdet_is_one_line(capsys):
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        load_config("not/there.py")
    assert capsys.readouterr().err == "error: no config at not/there.py\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        1 / 0  # noqa: B018


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv("RDET_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError), one_line_errors():
        load_config("not/there.py")


def in_rdet(source: str, name: str = "rdet/apis/cli.py"):
    """Runs code as if it stood in a file of the project."""
    exec(compile(source, str(ROOT / name), "exec"), {})


@pytest.mark.parametrize("name", ["rdet/apis/cli.py", "tools/test.py"])
def test_what_is_raised_on_purpose_is_one_line(capsys, name):
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        in_rdet("def check():\n    raise ValueError('so it is')\ncheck()", name)
    assert capsys.readouterr().err == "error: so it is\n"


@pytest.mark.parametrize("source", ["{}['inputs']", "1 // 0", "None.get", "len(3)"])
def test_a_bug_of_rdet_keeps_its_traceback(source):
    with pytest.raises((KeyError, ZeroDivisionError, AttributeError, TypeError)), one_line_errors():
        in_rdet(source)


def test_a_file_that_the_system_refuses_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="1"), one_line_errors():
        (tmp_path / "file" / "folder").mkdir()
    assert capsys.readouterr().err == f"error: {tmp_path / 'file' / 'folder'}: Not a directory\n"
