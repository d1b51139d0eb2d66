import importlib
import os
import pkgutil
import re
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod

import pytest
from torch import nn

import rdet
from rdet import registry
from rdet.errors import ConfigError, RdetError
from rdet.messages import nearest
from rdet.models.necks.fpn import FPN
from rdet.registry import (
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    TRANSFORMS,
    Registry,
    UnknownNameError,
    build_from_cfg,
    function_named,
    import_custom_modules,
)

INSTALLED = {"rdet", "mmengine", "mmcv", "torch"}
ALL = {name: value for name, value in vars(registry).items() if isinstance(value, Registry)}


pytestmark = pytest.mark.usefixtures("no_custom_imports")


def test_import_is_light():
    code = (
        "import sys, rdet, rdet.registry\n"
        "print([m for m in sys.modules if m.startswith(('rdet.models', 'torchvision', 'mmcv', 'cv2', 'timm'))])\n"
        "rdet.registry.MODELS.get('FocalLoss')\n"
        "print([m for m in ('rdet.models.losses.focal_loss', 'rdet.datasets', 'timm') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.splitlines() == ["[]", "['rdet.models.losses.focal_loss']"], result.stderr


@pytest.fixture(scope="module")
def all_modules():
    names = [module.name for module in pkgutil.walk_packages(rdet.__path__, "rdet.")]
    return [importlib.import_module(name) for name in names if name != "rdet.interop.sahi"]  # which needs sahi


# A process that has imported what rdet needs and nothing of its parts, and for each registry a copy of it.
LOOK_UP_ONE = """
import os, sys, torchvision.ops, mmcv.transforms, matplotlib.figure
from rdet import registry
for name in sys.argv[1:]:
    if not (child := os.fork()):
        print(name, *sorted(getattr(registry, name)._module_of.items()), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_every_registered_class_is_in_the_packages_of_its_registry(all_modules):
    """What decorators register, once all of rdet is imported, is what a look-up of one part imports."""
    command = [sys.executable, "-c", LOOK_UP_ONE, *ALL]
    said = subprocess.run(command, capture_output=True, text=True, timeout=200)
    expected = [" ".join(map(str, [name, *sorted(parts._module_of.items())])) for name, parts in ALL.items()]
    assert said.stdout.splitlines() == expected, said.stderr
    for parts in ALL.values():
        registered = {k: cls.__module__ for k, cls in parts.module_dict.items() if cls.__module__.startswith("rdet.")}
        assert parts._module_of == registered
        for key in registered:
            assert parts.get(key) is parts.get(f"rdet.{key}") is parts.module_dict[key]


def test_a_module_without_its_package_does_not_hide_the_others(tmp_path):
    """timm stands for a package that a module of rdet imports and that is not there."""
    code = (
        "import sys, importlib\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'rdet.models.backbones.timm_backbone':\n"
        "            raise ModuleNotFoundError(\"No module named 'timm'\", name='timm')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from rdet.registry import MODELS\n"
        "print(MODELS.get('ResNet').__name__, MODELS.get('FocalLoss').__name__)\n"
        "try: MODELS.get('TimmBackbone')\n"
        "except KeyError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    found, message = result.stdout.splitlines()
    assert found == "ResNet FocalLoss", result.stderr
    assert message.startswith(
        "no model part is called 'TimmBackbone'. rdet.models.backbones.timm_backbone could not be imported: "
        "No module named 'timm'. Did you mean"
    )


def test_a_name_that_rdet_has_is_refused_where_the_user_takes_it(tmp_path):
    (tmp_path / "my_part_d.py").write_text(
        "from rdet.registry import MODELS\n@MODELS.register_module(name='FocalLoss')\nclass Mine: ...\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from rdet.registry import MODELS, import_custom_modules\n"
        "try: import_custom_modules(['my_part_d'])\n"
        "except ImportError as error: print(error)\n"
        "print(MODELS.get('FocalLoss').__module__)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    message, module = result.stdout.splitlines()
    assert message.startswith("custom_imports: cannot import 'my_part_d' (KeyError: 'FocalLoss is already registered")
    assert module == "rdet.models.losses.focal_loss"


def test_index_has_the_parts_of_the_design():
    assert {"RetinaNet", "ResNet", "FPN", "RetinaHead", "FocalLoss", "FocalLossStar"} <= set(MODELS._module_of)
    assert {"CocoDataset", "VocDataset", "ClassBalancedDataset"} <= set(DATASETS._module_of)
    assert {"Resize", "RandomFlip", "PackDetInputs"} <= set(TRANSFORMS._module_of)
    assert "CocoMetric" in METRICS._module_of


@pytest.mark.parametrize(
    ("parts", "name", "module"),
    [
        (OPTIMIZERS, "SGD", "torch.optim"),
        (HOOKS, "EMAHook", "mmengine.hooks"),
        (LOOPS, "TestLoop", "mmengine.runner"),
        (TRANSFORMS, "CenterCrop", "mmcv.transforms"),
    ],
)
def test_parts_of_other_libraries(parts, name, module):
    assert parts.get(name).__module__.startswith(module)


@pytest.mark.parametrize(
    ("parts", "name", "message"),
    [
        (MODELS, "FocalLos", "no model part is called 'FocalLos'. Did you mean 'FocalLoss'"),
        (MODELS, "resnet50", "no model part is called 'resnet50'. Did you mean 'ResNet'"),
        (MODELS, "retinanet", "Did you mean 'RetinaNet'"),
        (OPTIMIZERS, "Sgd", "no optimizer is called 'Sgd'. Did you mean 'SGD' or 'ASGD'"),
        (HOOKS, "EmaHook", "no hook is called 'EmaHook'. Did you mean 'EMAHook'"),
        (DATASETS, "CocoDatset", "no dataset is called 'CocoDatset'. Did you mean 'CocoDataset'"),
        (MODELS, "", "no model part is called ''. "),
        (MODELS, "mmdet.RetinaHead", "no model part is called 'mmdet.RetinaHead'. Did you mean 'RetinaHead'"),
    ],
)
def test_unknown_type_names_the_nearest(parts, name, message, monkeypatch):
    for each in (parts, parts.parent):  # without what other tests had configs import: it could be nearer
        parts.parts()
        known = {key: part for key, part in each.module_dict.items() if part.__module__.split(".")[0] in INSTALLED}
        monkeypatch.setattr(each, "_module_dict", known)
    with pytest.raises(UnknownNameError) as caught:
        parts.get(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_message_lists_a_few_valid_names_and_says_what_lists_all():
    with pytest.raises(UnknownNameError, match="^no model part is called '§§§'") as caught:
        MODELS.get("§§§")
    few, more, names = re.search(r"Valid: (.+) and (\d+) more, which (.+) lists\.$", str(caught.value)).groups()
    assert names == "rdet.registry.MODELS.names()"
    assert len(few.split(", ")) + int(more) == len(MODELS.names())
    assert set(MODELS._module_of) <= MODELS.names()
    for name in few.split(", "):
        MODELS.get(name)


@pytest.mark.parametrize(
    ("name", "valid", "expected"),
    [
        ("dept", ["depth", "groups"], "Did you mean 'depth'? Valid: depth, groups."),
        ("xyz", ["depth"], "Valid: depth."),
        ("Sgd", ["ASGD", "SGD"], "Did you mean 'SGD' or 'ASGD'? Valid: ASGD, SGD."),
        (3, [30, 4], "Did you mean '30'? Valid: 30, 4."),
        ("resnet50", ["ResNet", "FPN"], "Did you mean 'ResNet'? Valid: FPN, ResNet."),
        ("a", [], "Valid: none."),
        ("FocalLos", ["FocalLoss", *map(str, range(10))], "Did you mean 'FocalLoss'? names() lists all 11."),
        ("xyz", map(str, range(11)), "Valid: 0, 1, 10, 2, 3 and 6 more, which names() lists."),
        ("a1", [f"{i}{i}" for i in range(11)], "Did you mean '11'? names() lists all 11."),
    ],
)
def test_nearest(name, valid, expected):
    assert nearest(name, valid, see="names()") == expected


def test_many_names_that_nothing_lists():
    names = [f"{i}b" for i in range(11)]
    assert nearest("11b", names) == "Did you mean '1b' or '10b'?"
    assert nearest("", names) == "Valid: 0b, 10b, 1b, 2b, 3b and 6 more."


@pytest.fixture
def module_path(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_custom_module_registers_a_part(module_path):
    (module_path / "my_parts_a.py").write_text(
        "from torch import nn\nfrom rdet.registry import MODELS\n"
        "@MODELS.register_module()\nclass MyLossA(nn.Module):\n    def __init__(self, power: float): ...\n"
    )
    import_custom_modules(["my_parts_a"])
    assert MODELS.get("MyLossA").__module__ == "my_parts_a"
    said = r"'MyLosA'\. custom_imports imported: my_parts_a\. Did you mean 'MyLossA'"
    with pytest.raises(UnknownNameError, match=said):
        MODELS.get("MyLosA")


def test_failed_custom_import_raises_at_once(module_path):
    (module_path / "my_parts_b.py").write_text("import no_such_library\n")
    with pytest.raises(
        ImportError, match=r"cannot import 'my_parts_b' \(ModuleNotFoundError: No module named 'no_such"
    ):
        import_custom_modules("my_parts_b")
    with pytest.raises(ImportError, match=r"cannot import 'nowhere_at_all' .* is its folder on PYTHONPATH"):
        import_custom_modules(["nowhere_at_all"])


def test_failed_custom_import_that_was_allowed_shows_its_traceback_when_a_part_is_missing(module_path):
    (module_path / "my_parts_c.py").write_text("ratio = 1 / 0\n")
    import_custom_modules(["json", "my_parts_c"], allow_failed_imports=True)
    with pytest.raises(UnknownNameError) as caught:
        MODELS.get("MyPartC")
    message = str(caught.value)
    assert "custom_imports imported: json." in message
    assert "custom_imports could not import 'my_parts_c':\nTraceback" in message
    assert "ZeroDivisionError: division by zero" in message
    import_custom_modules([])
    with pytest.raises(UnknownNameError) as caught:
        MODELS.get("MyPartC")
    assert "my_parts_c" not in str(caught.value)


class Outer:
    def __init__(self, inner, count: int = 1, norm_cfg: dict | None = None, parts: list | None = None):
        self.inner, self.count, self.norm_cfg, self.parts = inner, count, norm_cfg, parts


class OuterChild(Outer):
    def __init__(self, extra: int, **kwargs):
        super().__init__(**kwargs)
        self.extra = extra


class Bare:
    pass


LOSS = {"type": "FocalLoss", "gamma": 1.0}


def test_class_itself_as_type():
    part = build_from_cfg({"type": FPN, "in_channels": [1], "in_strides": [8], "out_channels": 2}, MODELS)
    assert isinstance(part, FPN)
    with pytest.raises(UnknownNameError, match=r"FPN: FPN has no key 'out_channel'. Did you mean 'out_channels'"):
        build_from_cfg({"type": FPN, "in_channels": [1], "in_strides": [8], "out_channel": 2}, MODELS)


def test_nested_parts_are_built_and_values_are_not():
    norm_cfg = {"type": "FocalLoss", "gamma": 9}
    cfg = {"type": Outer, "inner": {"type": Outer, "inner": LOSS}, "norm_cfg": norm_cfg, "parts": [LOSS, LOSS]}
    built = build_from_cfg(cfg, MODELS)
    assert built.inner.inner.gamma == 1.0
    assert built.norm_cfg == norm_cfg
    assert [part.gamma for part in built.parts] == [1.0, 1.0]
    assert cfg["inner"]["inner"] == LOSS  # configs stay as they are


@pytest.mark.parametrize("value", [[], (), [1, 2], [LOSS, 3], {}, {"a": 1}, None, "FocalLoss"])
def test_what_is_no_part_stays(value):
    assert build_from_cfg({"type": Outer, "inner": value}, MODELS).inner == value


def test_lists_of_transforms_and_datasets_have_their_own_registry():
    built = build_from_cfg({"type": OuterPipeline, "pipeline": [{"type": "RandomFlip", "prob": 0.5}]}, DATASETS)
    assert type(built.pipeline[0]).__name__ == "RandomFlip"


class OuterPipeline:
    def __init__(self, pipeline):
        self.pipeline = pipeline


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"type": Outer, "inner": {"type": "FocalLos"}}, "Outer.inner: no model part is called 'FocalLos'. Did you"),
        (
            {"type": Outer, "inner": {**LOSS, "gama": 1}},
            "Outer.inner: FocalLoss has no key 'gama'. Did you mean 'gamma'",
        ),
        ({"type": Outer, "inner": 1, "parts": [LOSS, {"type": "X"}]}, "Outer.parts.1: no model part is called 'X'."),
        ({"type": Outer, "iner": 1}, "Outer: Outer has no key 'iner'. Did you mean 'inner'? Valid: count, inner, norm"),
        (
            {"type": OuterChild, "extras": 1},
            "OuterChild has no key 'extras'. Did you mean 'extra'? Valid: count, extra",
        ),
        ({"type": Bare, "x": 1}, "Bare: Bare has no key 'x'. Valid: none."),
    ],
)
def test_unknown_keys_say_where(cfg, message):
    with pytest.raises(UnknownNameError) as caught:
        build_from_cfg(cfg, MODELS)
    assert message in str(caught.value)


@pytest.mark.parametrize("cfg", [{}, {"gamma": 1}, None, [LOSS], "FocalLoss"])
def test_what_is_no_config_of_a_part(cfg):
    with pytest.raises(ValueError, match=r"model\.loss_cls: expected a dict with the key 'type', got"):
        build_from_cfg(cfg, MODELS, where="model.loss_cls")


class Refusing:
    def __init__(self, message):
        raise ValueError(message)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("gamma is -1", "model.loss_cls: gamma is -1"),
        ("loss_cls.gamma is -1", "model.loss_cls.gamma is -1"),
        ("model.loss_cls.gamma is -1", "model.loss_cls.gamma is -1"),
    ],
)
def test_what_a_part_refuses_has_its_place(message, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        build_from_cfg({"type": Refusing, "message": message}, MODELS, where="model.loss_cls")
    with pytest.raises(ValueError, match=f"^Refusing: {message}$"):
        build_from_cfg({"type": Refusing, "message": message}, MODELS)


class Building:
    """Fails as a part of the user's own does that has a bug."""

    def __init__(self, values):
        raise LookupError(values)


def test_what_a_library_cannot_build_is_said_where_and_a_bug_of_ones_own_is_not_hidden():
    cfg = {"type": nn.Conv2d, "in_channels": 3, "out_channels": 3, "kernel_size": 3, "groups": 2}
    with pytest.raises(ConfigError, match=r"^model\.neck: in_channels must be divisible by groups$"):
        build_from_cfg(cfg, MODELS, where="model.neck")
    said = r"^model\.neck: Conv2d cannot be made of these values \(RuntimeError: Trying to .+\); correct them \("
    with pytest.raises(ConfigError, match=said):
        build_from_cfg({**cfg, "groups": 1, "kernel_size": -1}, MODELS, where="model.neck")
    with pytest.raises(LookupError, match="odd"):
        build_from_cfg({"type": Building, "values": "odd"}, MODELS)


@pytest.mark.parametrize("name", ["abc", "../..", "os", "", "a..b"])
def test_a_name_of_pythons_is_no_part(name):
    with pytest.raises(UnknownNameError, match="no model part is called"):
        MODELS.get(name)


def test_functions_are_found_by_their_dotted_names():
    assert function_named("os.path.join", "x") is os.path.join
    for name in ("os.path", "nowhere.at_all", "join", "../.."):
        with pytest.raises(ConfigError, match=r"x: there is no function .*; give it as 'module.function'"):
            function_named(name, "x")


class Needing:
    def __init__(self, power, scale):
        self.power = power


class NeedingBehindKwargs(Needing):
    def __init__(self, extra=1, **kwargs):
        super().__init__(**kwargs)


class Assembling:
    @classmethod
    def from_cfg(cls, part): ...


@pytest.mark.parametrize(
    ("cls", "given", "missing"),
    [
        (Needing, {"power": 1}, "scale"),
        (Needing, {}, "power, scale"),
        (NeedingBehindKwargs, {"scale": 1}, "power"),
        (Assembling, {}, "part"),
    ],
)
def test_missing_arguments_are_said_with_their_place(cls, given, missing):
    with pytest.raises(ConfigError, match=f"^model.loss_cls: {cls.__name__} needs {missing}$"):
        build_from_cfg({"type": cls, **given}, MODELS, where="model.loss_cls")


class WrongCall(Needing):
    def __init__(self, power: float):
        super().__init__(power)  # a bug: scale


class WrongSum:
    def __init__(self):
        len(3)


@pytest.mark.parametrize(("cls", "given"), [(WrongCall, {"power": 1}), (WrongSum, {})])
def test_bugs_in_a_constructor_stay_what_they_are(cls, given):
    with pytest.raises(TypeError) as caught:
        build_from_cfg({"type": cls, **given}, MODELS)
    assert not isinstance(caught.value, RdetError)


class Abstract(ABC):
    @abstractmethod
    def elementwise(self, x): ...

    @abstractmethod
    def also(self): ...


class Unfinished(Abstract):
    def also(self):
        return 1


def test_a_part_without_a_method_is_said():
    with pytest.raises(ConfigError, match=r"^model\.loss_cls: Unfinished does not define elementwise$"):
        build_from_cfg({"type": Unfinished}, MODELS, where="model.loss_cls")
    with pytest.raises(ConfigError, match=r"^Abstract: Abstract does not define also, elementwise$"):
        build_from_cfg({"type": Abstract}, MODELS)


def test_what_a_nested_part_refuses_keeps_the_inner_place():
    with pytest.raises(ConfigError, match=r"^model\.neck\.inner: no$") as caught:
        build_from_cfg({"type": Outer, "inner": {"type": Refusing, "message": "no"}}, MODELS, where="model.neck")
    assert isinstance(caught.value, ValueError)


def test_inferred_facts_fill_in_and_must_agree():
    neck = {"type": "FPN", "out_channels": 2}
    facts = {"in_channels": [3, 4], "in_strides": [8, 16]}
    assert build_from_cfg(neck, MODELS, facts).lateral_convs[1].in_channels == 4
    assert build_from_cfg({**neck, "in_channels": (3, 4)}, MODELS, facts)
    assert build_from_cfg({**neck, "in_channels": None}, MODELS, facts)
    message = r"model\.neck\.in_channels is \[3, 5\] in the config, but \[3, 4\] follows from the parts around it"
    with pytest.raises(ValueError, match=message):
        build_from_cfg({**neck, "in_channels": [3, 5]}, MODELS, facts, where="model.neck")


def test_threads_find_parts_that_another_thread_is_importing(monkeypatch):
    """A look-up waits until all are there; several configs may be loaded at a time."""
    began, name = threading.Event(), "rdet.models.losses"
    real = importlib.import_module

    def slow(module):
        began.set()
        time.sleep(0.02)
        return real(module)

    some = Registry("loss", MODELS, (name,))
    monkeypatch.setattr(importlib, "import_module", slow)
    first = threading.Thread(target=some.import_parts)
    first.start()
    began.wait()
    some.import_parts()
    assert some._has_all
    first.join()
