"""The Python of README.md and docs/ runs: configs load, modules import, scripts run one after the other."""

import ast
import re
import sys
from pathlib import Path

import pytest

from rdet import registry
from rdet.config import TOP_LEVEL_KEYS, load_config
from rdet.datasets.synthetic import make_synthetic_coco
from rdet.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Under which name other blocks of its page know one, by a line of it.
FILES = {
    "README.md": {
        'dataset=dict(ann_file="annotations/train.json", data_prefix=dict(img="images/")),': "my_data.py",
        "class BalancedCrossEntropy(SigmoidLoss):": "my_losses.py",
    },
    "docs/configs.md": {
        "class MyAssigner: ...": "my_assigner.py",
        "class MyBoxLoss(EncodedBoxLoss):": "my_losses.py",
    },
    "docs/custom_parts.md": {"class SizeQuality(Quality):": "my_more_parts.py"},
    "docs/custom_datasets.md": {
        'dataset=dict(ann_file="annotations/train.json", data_prefix=dict(img="images/")),': "my_data.py",
    },
}
# Blocks that are only read, by a line of them.
NOT_RUN = {
    'model = init_detector("my_data.py", checkpoint, device="cpu")': "needs a trained model",
    'load_torchvision_retinanet(model, "retinanet_resnet50_fpn_coco-eeacb38b.pth")  # or a state dict': "a download",
    'load_torchvision_ssd(model, "ssd300_vgg16_coco-b556d3b4.pth")  # or a state dict': "a download",
    'model = init_detector("mmdet://atss_r50_fpn_1x_coco")': "a download",
    'model = init_detector("converted.pth")': "needs a trained model",
    'model = init_detector("best.pth")': "needs a trained model",
    'dataset = dict(type="ClassBalancedDataset", oversample_thr=0.01, dataset=dict(...))': "a sketch",
}
PAGES = [
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if BLOCK.search(path.read_text(encoding="utf-8"))
]


def is_config(code: str) -> bool:
    """Whether a block assigns keys of a config and nothing else."""
    targets = [
        ast.unparse(target)
        for node in ast.parse(code.replace("{{", "[").replace("}}", "]")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    return bool(targets) and all(name in TOP_LEVEL_KEYS or name.startswith("_") for name in targets)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like the repository's, with data, to run code in; what the code registers is forgotten."""
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples/custom_parts"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registries = [value for value in vars(registry).values() if isinstance(value, Registry)]
    for parts in registries:
        parts.import_parts()
        monkeypatch.setattr(parts, "_module_dict", dict(parts._module_dict))
    modules = set(sys.modules)
    yield tmp_path
    registry._custom_imports.clear()
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path) or name == "my_parts":
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_runs(page, checkout, capsys):
    if page == "docs/focal_loss_troubles.md":
        make_synthetic_coco(checkout / "data/paper", 2, 1, 64, 0)
    namespace: dict = {"__name__": "page"}
    for number, code in enumerate(BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))):
        lines = {line.strip() for line in code.splitlines()}
        if lines & set(NOT_RUN):
            ast.parse(code)
            continue
        if code.startswith("def ") and code.rstrip().endswith(":"):  # a signature
            ast.parse(f"{code.rstrip()} ...")
            continue
        name = next((name for line, name in FILES.get(page, {}).items() if line in lines), f"block_{number}.py")
        if not is_config(code):
            (checkout / name).write_text(code, encoding="utf-8")
            if name.startswith("block"):
                exec(compile(code, f"{page}, block {number}", "exec"), namespace)
            continue
        if "_base_ = " not in code:
            code = f'_base_ = "configs/retinanet/r50_fpn_1x_coco.py"\n{code}'
        code = code.replace('"../../configs/', '"configs/')
        (checkout / name).write_text(code, encoding="utf-8")
        load_config(checkout / name)


def test_what_is_named_here_is_there():
    text = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    for page, files in FILES.items():
        assert [line for line in files if line not in text[page]] == []
    assert [line for line in NOT_RUN if not any(line in page for page in text.values())] == []
