"""What is read of a config file, and one line where it cannot be read."""

import pytest
import torch
from mmengine.config import Config
from written_config import R50, write

from rdet.apis.build import build_detector
from rdet.config import check_config, load_config
from rdet.errors import UnknownNameError

pytestmark = pytest.mark.usefixtures("no_custom_imports")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_base_ = 'nope.py'", "FileNotFoundError: .*nope.py"),
        ("x = (", "line 1: '\\(' was never closed"),
        ("import not_there", "ModuleNotFoundError: Failed to import not_there in .*child.py, line 1"),
        ("_base_ = 'child.py'", "its _base_ files are a circle"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero; correct it$"),
    ],
)
def test_config_that_cannot_be_read_is_one_line(text, message, tmp_path):
    (tmp_path / "child.py").write_text(text)
    with pytest.raises(ValueError, match=f"child.py cannot be read as a config: {message}") as error:
        load_config(tmp_path / "child.py")
    assert "\n" not in str(error.value)


def test_a_file_of_another_name_is_no_config(tmp_path):
    (tmp_path / "a.pth").write_text("x = 1")
    with pytest.raises(
        ValueError, match=r"a\.pth is no config, whose name ends in \.py, \.yml, \.yaml, \.json; give one$"
    ):
        load_config(tmp_path / "a.pth")


def test_helpers_are_dropped(tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\n_depth = 18\nmodel = dict(backbone=dict(depth=_depth))\n")
    cfg = load_config(path)
    assert cfg.model.backbone.depth == 18
    assert not any(name.startswith("_") for name in cfg)


def test_empty_config(tmp_path):
    assert dict(load_config(write(tmp_path, "")).items()) == {}
    check_config(Config())


@pytest.mark.parametrize("name", ["nowhere.py", "."])
def test_missing_file(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="no config at "):
        load_config(tmp_path / name)


def test_part_in_a_users_own_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write(
        tmp_path,
        "from rdet.models.losses.focal_loss import SigmoidLoss\nfrom rdet.registry import MODELS\n\n"
        "@MODELS.register_module()\nclass QuadraticLoss(SigmoidLoss):\n"
        "    def __init__(self, scale: float):\n        super().__init__(0.25, 1.0)\n        self.scale = scale\n"
        "    def elementwise(self, x_t):\n        return self.scale * (x_t - 1) ** 2\n",
        "quadratic_loss.py",
    )
    text = (
        f"_base_ = {str(R50)!r}\ncustom_imports = dict(imports=['quadratic_loss'])\n"
        "model = dict(loss_cls=dict(_delete_=True, type='QuadraticLoss', {}=2.0))\n"
    )
    cfg = load_config(write(tmp_path, text.format("scale"), "good.py"), {"model.backbone.weights": None})
    with torch.device("meta"):
        assert build_detector(cfg, ("a",)).criterion.loss_cls.scale == 2.0
    with pytest.raises(
        UnknownNameError, match=r"model.loss_cls: QuadraticLoss has no key 'scal'. Did you mean 'scale'"
    ):
        load_config(write(tmp_path, text.format("scal"), "bad.py"))


def test_failed_custom_import_is_said(tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\ncustom_imports = dict(imports=['no_such_module'])\n")
    with pytest.raises(ImportError, match=r"custom_imports: cannot import 'no_such_module' .* on PYTHONPATH"):
        load_config(path)


def test_class_as_type_is_kept_by_its_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "parts_by_class.py").write_text(
        "from rdet.models.losses.focal_loss import FocalLoss\n\n\nclass MyLoss(FocalLoss):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = f"_base_ = {str(R50)!r}\nfrom parts_by_class import MyLoss\nmodel = dict(loss_cls=dict(type=MyLoss))\n"
    cfg = load_config(write(tmp_path, text), {"model.backbone.weights": None})
    assert cfg.model.loss_cls.type == "parts_by_class.MyLoss"
    cfg.dump(tmp_path / "dumped.py")
    with torch.device("meta"):
        detector = build_detector(load_config(tmp_path / "dumped.py"), ("a",))
    assert type(detector.criterion.loss_cls).__name__ == "MyLoss"
