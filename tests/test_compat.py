"""Each guard is needed, and works: without it mmengine fails, with it it does not."""

import subprocess
import sys

import mmengine.utils
import pytest
import torch
from mmengine.registry import Registry

import rdet.registry  # noqa: F401, applies the guards
from rdet import compat

# Where pkg_resources is still installed, it is hidden.
HIDE = "import sys; sys.modules['pkg_resources'] = None\n"


def run(code: str, path=None) -> subprocess.CompletedProcess:
    """Runs ``code`` in a fresh interpreter, ``path`` first on its module path."""
    code = (f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else "") + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_is_installed_needs_no_pkg_resources():
    ask = "from mmengine.utils import is_installed\nprint(is_installed('torch'), is_installed('not-there'))"
    without = run(HIDE + ask)
    assert without.returncode != 0
    assert "pkg_resources" in without.stderr
    guarded = run(HIDE + "import rdet.registry\n" + ask)
    assert guarded.stdout.split() == ["True", "False"], guarded.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mmcv-lite", True), ("mmcv", True), ("json", True), ("not-there", False), ("not_there", False)],
)
def test_is_installed_knows_distributions_and_modules(name, expected):
    assert mmengine.utils.is_installed(name) is expected


def test_config_of_another_package_that_is_not_installed(tmp_path):
    """`_base_ = 'mmdet::...'` asks mmengine's config module, which holds the function under its own name."""
    from mmengine.config import Config

    (tmp_path / "child.py").write_text("_base_ = 'mmdet::retinanet/some.py'\n")
    with pytest.raises(ModuleNotFoundError, match="mmdet is not installed"):
        Config.fromfile(tmp_path / "child.py")


class Adafactor(torch.optim.Optimizer):
    """As another library would call it."""


def test_second_adafactor_raises_in_a_plain_registry_only(monkeypatch):
    plain = Registry("optimizer")
    plain.register_module(module=torch.optim.Adafactor)  # what mmengine 0.10.5 does with all of torch's
    with pytest.raises(KeyError, match="Adafactor is already registered"):
        plain.register_module(name="Adafactor", module=Adafactor)

    monkeypatch.setattr(compat.registry, "OPTIMIZERS", plain)
    compat._tolerate_second_adafactor()
    plain.register_module(name="Adafactor", module=Adafactor)
    assert plain.get("Adafactor") is torch.optim.Adafactor
    plain.register_module(name="Other", module=Adafactor)
    assert plain.get("Other") is Adafactor
    with pytest.raises(KeyError, match="Other is already registered"):
        plain.register_module(name="Other", module=torch.optim.SGD)


def test_mmengine_imports_beside_transformers(tmp_path):
    (tmp_path / "transformers.py").write_text(
        "import torch\nclass Adafactor(torch.optim.Optimizer): pass\n", encoding="utf-8"
    )
    result = run(
        "import rdet.registry, mmengine.optim, transformers\n"
        "adafactor = rdet.registry.OPTIMIZERS.get('Adafactor')\n"
        "print(adafactor.__module__, rdet.registry.OPTIMIZERS.get('SGD').__module__)",
        path=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] in ("transformers", "torch.optim._adafactor")
    assert result.stdout.split()[1] == "torch.optim.sgd"
