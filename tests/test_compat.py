"""Each patch is needed, and works: without it mmengine fails, with it it does not.

A test that fails because mmengine does not any more says that its patch can go.
"""

import ast
import subprocess
import sys
from pathlib import Path

import mmengine.utils
import pytest

import rdet.registry  # noqa: F401, applies the guards
from rdet import compat
from rdet.config import load_config
from rdet.errors import ConfigError

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


def test_folder_of_a_package_needs_no_pkg_resources(tmp_path):
    (tmp_path / "not_imported").mkdir()
    (tmp_path / "not_imported" / "__init__.py").write_text("raise ImportError('it was imported')\n")
    ask = "from mmengine.utils import get_installed_path\nprint(get_installed_path('not_imported'))"
    without = run(HIDE + ask, tmp_path)
    assert without.returncode != 0
    assert "pkg_resources" in without.stderr
    guarded = run(HIDE + "import rdet.registry\n" + ask, tmp_path)
    assert guarded.stdout.strip() == str(tmp_path / "not_imported"), guarded.stderr
    with pytest.raises(ModuleNotFoundError, match="there is no package 'not_there'"):
        mmengine.utils.get_installed_path("not_there")


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


GRADIENT = """
import torch
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
turn_on_activation_checkpointing(network, '0')
network(torch.ones(3, 2)).sum().backward()
print(network[0].weight.grad is not None)
"""


def test_recomputed_activations_leave_no_weight_without_gradient():
    # mmengine is imported as by rdet, so that a version that needs pkg_resources gets as far.
    before = run("import rdet.registry\n" + GRADIENT)
    assert before.stdout.split() == ["False"], before.stderr
    patched = run("import rdet.engine.runner\n" + GRADIENT)
    assert patched.stdout.split() == ["True"], patched.stderr


def test_nothing_else_of_mmengine_is_replaced():
    """All patches are in rdet/compat.py: nothing else assigns to an attribute of a module of mmengine."""
    found = []
    for path in sorted(Path(compat.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        } - sys.stdlib_module_names
        for node in ast.walk(tree):
            for target in node.targets if isinstance(node, ast.Assign) else ():
                root = target
                while isinstance(root, ast.Attribute):
                    root = root.value
                if root is not target and isinstance(root, ast.Name) and root.id in imported:
                    found.append(f"{path.name}:{node.lineno}")
    assert [place for place in found if not place.startswith("compat.py")] == []


def test_a_yaml_config_runs_nothing(tmp_path):
    """Neither as a config nor as the base of one."""
    ran = tmp_path / "ran"
    (tmp_path / "evil.yaml").write_text(f"model: !!python/object/apply:os.system ['touch {ran}']\n")
    (tmp_path / "child.py").write_text('_base_ = "evil.yaml"\n')
    read = "import rdet.compat\nfrom mmengine import Config\nConfig.fromfile({!r})"
    run(read.format(str(tmp_path / "evil.yaml")))
    ran.unlink()  # mmengine alone runs it
    for name in ("evil.yaml", "child.py"):
        with pytest.raises(ConfigError, match=r"cannot be read as a config: .*python/object/apply:os\.system"):
            load_config(tmp_path / name)
    assert not ran.exists()
    (tmp_path / "good.yaml").write_text("model: {type: RetinaNet, num_classes: 3}\n")
    assert load_config(tmp_path / "good.yaml").model.num_classes == 3
