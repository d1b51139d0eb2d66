"""The configs that rdet brings: found by name, from any folder, and copied."""

import re

import pytest

from rdet.config import base_files, changes, load_config, read_config
from rdet.config_files import CONFIGS, bases_of, config_names, copy_config, find_config
from rdet.errors import ConfigError, MissingFileError

NAME = "retinanet/r50_fpn_1x_coco"


def test_names_are_those_of_whole_configs():
    names = config_names()
    assert NAME in names
    assert len(names) == len(set(names)) == sum("_base_" not in path.parts for path in CONFIGS.rglob("*.py"))
    assert not any("_base_" in name for name in names)


@pytest.mark.parametrize("name", [NAME, f"{NAME}.py", f"rdet::{NAME}", f"rdet::{NAME}.py", str(CONFIGS / f"{NAME}.py")])
def test_a_name_leads_to_its_file_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / f"{NAME}.py"
    assert read_config(name).model.type == "RetinaNet"


def test_a_file_of_the_users_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retinanet").mkdir()
    (tmp_path / f"{NAME}.py").write_text("resume = True\n")
    assert dict(read_config(f"{NAME}.py")) == {"resume": True}
    assert "model" in read_config(f"rdet::{NAME}.py")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("not/there.py", "give the path of a file, or a name that 'rdet configs' lists"),
        ("retinanet/r50_fpn_1x_cocoo", "did you mean 'retinanet/r50_fpn_1x_coco'"),
        ("configs/gfl/r50_fpn_1x_coco.py", "did you mean "),
        ("r101_fpn_1x_coco", "did you mean 'retinanet/r101_fpn_1x_coco', which rdet brings?"),
        ("rdet::../setup.py", "give the path"),
        ("rdet::/etc/passwd", "give the path"),
    ],
)
def test_a_name_that_leads_nowhere(name, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match=f"^no config at {re.escape(name)}; .*{re.escape(hint)}"):
        find_config(name)


def test_a_base_in_rdet_gives_what_its_path_gives(tmp_path):
    by_name, by_path = tmp_path / "name.py", tmp_path / "path.py"
    change = "model = dict(loss_cls=dict(gamma=1.0))\n"
    by_name.write_text(f'_base_ = "rdet::{NAME}.py"\n{change}')
    by_path.write_text(f'_base_ = "{CONFIGS / NAME}.py"\n{change}')
    assert load_config(by_name).to_dict() == load_config(by_path).to_dict()
    assert base_files(by_name) == [CONFIGS / f"{NAME}.py"]
    assert changes(by_name, load_config(by_name)) == [("model.loss_cls.gamma", 2.0, 1.0)]


def test_a_base_that_rdet_does_not_bring(tmp_path):
    (tmp_path / "child.py").write_text('_base_ = "rdet::retinanet/r50_fpn_1x_cocoo.py"\n')
    with pytest.raises(
        ConfigError, match=r"child\.py cannot be read as a config: .*did you mean 'retinanet/r50_fpn_1x"
    ):
        read_config(tmp_path / "child.py")


@pytest.mark.parametrize("name", config_names())
def test_a_copy_says_what_its_source_says(name, tmp_path):
    copied = copy_config(name, tmp_path)
    assert all(base.startswith("rdet::") for base in bases_of(copied.read_text()))
    assert read_config(copied).to_dict() == read_config(name).to_dict()


def test_a_copy_replaces_nothing(tmp_path):
    copied = copy_config(NAME, tmp_path / "new")
    with pytest.raises(ConfigError, match=r"r50_fpn_1x_coco\.py is there already; choose another folder"):
        copy_config(NAME, tmp_path / "new")
    copied.unlink()
    with pytest.raises(MissingFileError, match="no config at rdet::mine"):
        copy_config("mine", tmp_path)
