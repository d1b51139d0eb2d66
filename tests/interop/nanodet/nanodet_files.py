"""NanoDet-m with random weights, as its authors' checkpoints and exports hold them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.nanodet_onnx import _chains

onnx = pytest.importorskip("onnx")
ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "configs/nanodet/nanodet_m_416_coco.py"


def detector(classes=5, **options):
    torch.manual_seed(0)
    cfg = load_config(CONFIG, {"model.backbone.weights": None, **options})
    model = build_detector(cfg, classes=[str(index) for index in range(classes)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def of_the_project(model) -> dict:
    """The weights of one of ours as its authors call them."""
    state = {}
    for name, value in model.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "backbone":
            state[name] = value
        elif part == "neck":
            layer, kind = rest.removeprefix("lateral_convs.").split(".")
            state[f"fpn.lateral_convs.{layer}.conv.{kind}"] = value
        elif rest.startswith("convs."):
            level, layer, conv, module, kind = rest.removeprefix("convs.").split(".")
            theirs = {"depthwise_conv": ("depthwise", "dwnorm"), "pointwise_conv": ("pointwise", "pwnorm")}[conv]
            state[f"head.cls_convs.{level}.{layer}.{theirs[module == 'bn']}.{kind}"] = value
        elif rest.startswith("conv_cls."):
            layer = rest.removeprefix("conv_cls.")
            state[f"head.gfl_cls.{layer}"] = torch.cat([value, model.state_dict()[f"bbox_head.conv_reg.{layer}"]])
    state["head.gfl_reg.0.weight"] = torch.zeros(32, 96, 1, 1)
    state["head.distribution_project.project"] = torch.arange(8.0)
    return state


def folded(model) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Convolutions with their normalisation in them, as the network runs them."""
    found = []

    def note(conv, inputs, output):
        found.append((names[conv], conv))

    names = {module: name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    handles = [conv.register_forward_hook(note) for conv in names]
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    modules, result = dict(model.named_modules()), []
    for name, conv in found:
        parent, _, child = name.rpartition(".")
        if name.startswith("bbox_head.conv_reg."):  # one convolution with that of the classes, which ran before
            weight, bias = result.pop()
            result.append((torch.cat([weight, conv.weight]), torch.cat([bias, conv.bias])))
        elif name.startswith(("neck.", "bbox_head.conv_cls.")):
            result.append((conv.weight, conv.bias))
        else:
            norm = f"{parent}.bn" if child == "conv" else f"{parent}.{int(child) + 1}"
            fused = nn.utils.fusion.fuse_conv_bn_eval(conv, modules[norm])
            result.append((fused.weight, fused.bias))
    return result


def write_onnx(path, convolutions, extra_nodes=(), external=False, side=416, change=lambda model: None):
    """An export as far as its weights and their connections go: numbered, in their order."""
    tensors, nodes = [], []
    for index, (weight, bias) in enumerate(convolutions):
        for kind, value in (("w", weight), ("b", bias)):
            tensors.append(onnx.numpy_helper.from_array(value.detach().numpy(), f"{index}{kind}"))
    index = 0
    for chain in _chains(len(convolutions)) or [[""] * len(convolutions)]:
        x = f"map{index}"
        nodes.append(onnx.helper.make_node("Identity", ["x0"], [x]))
        for name in chain:
            nodes.append(onnx.helper.make_node("Conv", [x, f"{index}w", f"{index}b"], [f"y{index}"]))
            x = f"y{index}"
            if not name.endswith(("branch1.0", "branch2.3")) and "fpn" not in name and "gfl_cls" not in name:
                nodes.append(onnx.helper.make_node("LeakyRelu", [x], [f"a{index}"], alpha=0.1))
                x = f"a{index}"
            index += 1
    nodes += [onnx.helper.make_node(kind, ["x0"], ["y"]) for kind in extra_nodes]
    if external:
        tensors[0].ClearField("raw_data")
        tensors[0].data_location = onnx.TensorProto.EXTERNAL
        tensors[0].external_data.add(key="location", value="/etc/passwd")
    image = onnx.helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, [1, 3, side, side])
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [image], [], tensors))
    change(model)
    path.write_bytes(model.SerializeToString())


def raw(model, images):
    with torch.no_grad():
        predictions = model(images)
    return predictions.logits, predictions.deltas
