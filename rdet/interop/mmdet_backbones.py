"""Weights of backbones under MMDetection's names and rdet's."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Kind of rdet/backbone_of_weights.py -> pairs of names below `backbone.`, MMDetection's and rdet's. `{rest}` is any
# end, another letter in braces a number, `{j+1}` the number after it.
_NAMES: dict[str, list[tuple[str, str]]] = {
    "ResNet": [(each, each) for each in ("conv1.{rest}", "bn1.{rest}", "layer{i}.{rest}")],
    "Res2Net": [
        ("stem.7.{rest}", "bn1.{rest}"),
        ("stem.{i}.{rest}", "conv1.{i}.{rest}"),
        ("layer{i}.{rest}", "layer{i}.{rest}"),
    ],
    "RegNet": [
        ("conv1.{rest}", "net.stem.conv.{rest}"),
        ("bn1.{rest}", "net.stem.bn.{rest}"),
        ("layer{i}.{j}.conv{k}.{rest}", "net.s{i}.b{j+1}.conv{k}.conv.{rest}"),
        ("layer{i}.{j}.bn{k}.{rest}", "net.s{i}.b{j+1}.conv{k}.bn.{rest}"),
        ("layer{i}.{j}.downsample.0.{rest}", "net.s{i}.b{j+1}.downsample.conv.{rest}"),
        ("layer{i}.{j}.downsample.1.{rest}", "net.s{i}.b{j+1}.downsample.bn.{rest}"),
    ],
    "PVTv2": [
        ("layers.0.0.projection.{rest}", "net.patch_embed.proj.{rest}"),
        ("layers.0.0.norm.{rest}", "net.patch_embed.norm.{rest}"),
        ("layers.{i}.0.projection.{rest}", "net.stages_{i}.downsample.proj.{rest}"),
        ("layers.{i}.0.norm.{rest}", "net.stages_{i}.downsample.norm.{rest}"),
        ("layers.{i}.1.{j}.attn.attn.out_proj.{rest}", "net.stages_{i}.blocks.{j}.attn.proj.{rest}"),
        ("layers.{i}.1.{j}.attn.{rest}", "net.stages_{i}.blocks.{j}.attn.{rest}"),
        ("layers.{i}.1.{j}.norm{k}.{rest}", "net.stages_{i}.blocks.{j}.norm{k}.{rest}"),
        ("layers.{i}.1.{j}.ffn.layers.0.{rest}", "net.stages_{i}.blocks.{j}.mlp.fc1.{rest}"),
        ("layers.{i}.1.{j}.ffn.layers.1.{rest}", "net.stages_{i}.blocks.{j}.mlp.dwconv.{rest}"),
        ("layers.{i}.1.{j}.ffn.layers.4.{rest}", "net.stages_{i}.blocks.{j}.mlp.fc2.{rest}"),
        ("layers.{i}.2.{rest}", "net.stages_{i}.norm.{rest}"),
    ],
    "HRNet": [
        (name, f"net.{name}")
        for name in (
            *("conv{i}.{rest}", "bn{i}.{rest}", "layer{i}.{rest}"),
            *("stage{i}.{rest}", "transition{i}.{rest}"),
        )
    ],
}
_PLACES = re.compile(r"\{(\w+)(\+1)?\}")


def name_to_rdet(name: str, kind: str) -> str | None:
    """Rename a weight ``backbone.*`` of MMDetection; None if the network of that kind has none like it."""
    return _renamed(name, _NAMES[kind])


def name_to_mmdet(name: str, kind: str) -> str | None:
    """Rename a weight ``backbone.*`` of rdet; None if MMDetection's network of that kind has none like it."""
    return _renamed(name, [(ours, theirs) for theirs, ours in _NAMES[kind]])


def _renamed(name: str, pairs: list[tuple[str, str]]) -> str | None:
    below = name.removeprefix("backbone.")
    for pattern, target in pairs:
        found = re.fullmatch(_expression(pattern), below)
        if found is not None:
            numbers = {
                key: int(found[key]) - 1 if f"{{{key}+1}}" in pattern else found[key] for key in found.groupdict()
            }
            return f"backbone.{_PLACES.sub(lambda place, of=numbers: _number(place, of), target)}"  # type: ignore[misc]
    return None


def _expression(pattern: str) -> str:
    escaped = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}").replace(r"\+", "+")
    return _PLACES.sub(lambda place: rf"(?P<{place[1]}>{'.+' if place[1] == 'rest' else r'[0-9]+'})", escaped)


def _number(place: re.Match[str], values: Mapping[str, str | int]) -> str:
    value = values[place[1]]
    return str(int(value) + 1) if place[2] else str(value)


def values_to_rdet(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Give weights the shapes that rdet's network has, still under MMDetection's names.

    Of a PVTv2, the projection of queries, keys and values (3C, C) is one of queries and one of both others, and the 1x1
    convolutions between which it mixes channels are linear layers.
    """
    if kind != "PVTv2":
        return dict(state)
    found = {}
    for name, value in state.items():
        head, joined, end = name.partition(".attn.attn.in_proj_")
        if joined and value.shape[0] % 3 == 0:
            width = value.shape[0] // 3
            found[f"{head}.attn.q.{end}"], found[f"{head}.attn.kv.{end}"] = value[:width], value[width:]
        else:
            found[name] = value.flatten(1) if _is_linear(name) and value.shape[2:] == (1, 1) else value
    return found


def values_to_mmdet(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Undo :func:`values_to_rdet`, under MMDetection's names."""
    if kind != "PVTv2":
        return dict(state)
    found = {}
    for name, value in state.items():
        head, queries, end = name.partition(".attn.q.")
        if queries:
            found[f"{head}.attn.attn.in_proj_{end}"] = torch.cat([value, state[f"{head}.attn.kv.{end}"]])
        elif ".attn.kv." not in name:
            found[name] = value[..., None, None] if _is_linear(name) else value
    return found


def _is_linear(name: str) -> bool:
    return name.endswith((".ffn.layers.0.weight", ".ffn.layers.4.weight"))
