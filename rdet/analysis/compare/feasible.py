"""Whether all detectors of a comparison can be built, before any is trained."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.config import Config

from rdet.analysis.compare.variant import Variant
from rdet.apis.build import build_datasets, build_detector
from rdet.config import flatten
from rdet.datasets.summary import classes_of
from rdet.errors import RdetError

_OF_THE_CLASSES = ("data_root", "train_dataloader", "custom_imports")


def equal_weights(variants: Sequence[Variant]) -> tuple[dict[str, float], list[str]]:
    """Build all detectors with one seed, and see how much of the base each begins with.

    A seed gives the weights one part after the other, in the order backbone, neck, head: parts before the first that
    has weights of another shape begin as the base's do, those behind it do not.

    Args:
        variants: The detectors; the first is the base.

    Returns:
        Name -> share of the base's weights that the detector has too, before pretrained ones are loaded; and a line for
        each detector that cannot be built.
    """
    classes: dict[str, tuple[str, ...]] = {}
    shares: dict[str, float] = {}
    failures: dict[str, str] = {}
    base: Mapping[str, torch.Tensor] | None = None
    for variant in variants:
        try:
            weights = _weights(variant.cfg, classes)
        except RdetError as error:
            failures.setdefault(str(error), f"{variant.name}: {error}")  # missing data are said once
            continue
        base = weights if base is None else base
        shares[variant.name] = _share(base, weights)
    return shares, list(failures.values())


def _weights(cfg: Config, classes: dict[str, tuple[str, ...]]) -> dict[str, torch.Tensor]:
    data = repr([flatten({key: cfg.get(key)}) for key in _OF_THE_CLASSES])
    if data not in classes:  # annotations are read once
        classes[data] = classes_of(build_datasets(cfg, ("train",))["train"])
    torch.manual_seed(0)
    return dict(build_detector(cfg, classes[data]).named_parameters())


def _share(base: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    equal = sum(
        weight.numel()
        for name, weight in base.items()
        if name in other and other[name].shape == weight.shape and torch.equal(other[name], weight)
    )
    return equal / max(1, sum(weight.numel() for weight in base.values()))
