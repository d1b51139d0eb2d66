"""Any network of timm as a feature extractor."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from rdet.models.backbones.base import Backbone
from rdet.registry import MODELS


@MODELS.register_module()
class TimmBackbone(Backbone):
    """A network of timm (``pip install timm``) without its classifier.

    Shapes: (N, 3, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), C and s as timm
    states them.

    Args:
        model_name: Name in timm, for example ``tf_efficientnet_lite0``.
        out_indices: Which of timm's feature maps are returned; they count from stride 2, so
            (2, 3, 4) are C3 to C5.
        drop_path_rate: Rate of stochastic depth (Huang et al., ECCV 2016) in training; None
            leaves it to timm.
        autocast: Whether to follow the run's mixed precision. On CPUs, the backward pass of
            depthwise convolutions is two to six times slower in bfloat16 than in float32.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: tuple[int, ...] = (2, 3, 4),
        drop_path_rate: float | None = None,
        autocast: bool = True,
        frozen_stages: int = 0,
        norm_eval: bool = True,
        weights: str | None = None,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        try:
            import timm
        except ImportError as error:
            raise ImportError(f"the backbone {model_name!r} comes from timm; install it: pip install timm") from error
        if not timm.is_model(model_name):
            from rdet.registry import nearest

            raise ValueError(f"timm has no model {model_name!r}. {nearest(model_name, timm.list_models())[:400]}")
        options = {} if drop_path_rate is None else {"drop_path_rate": drop_path_rate}
        self.net = timm.create_model(model_name, features_only=True, out_indices=tuple(out_indices), **options)
        self.out_channels = list(self.net.feature_info.channels())
        self.strides = list(self.net.feature_info.reduction())
        self.autocast = autocast
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        stem = [child for name, child in self.net.named_children() if not _is_stage(name)]
        stages: list[list[nn.Module]] = [stem]
        for name, child in self.net.named_children():
            if _is_stage(name):
                stages.extend([part] for part in child) if name in ("blocks", "stages") else stages.append([child])
        return stages

    def forward(self, x: Tensor) -> list[Tensor]:
        with nullcontext() if self.autocast else torch.autocast(x.device.type, enabled=False):
            return self.net(x)


def _is_stage(name: str) -> bool:
    """timm's extractors hold a stage as ``blocks``/``stages`` (a list) or as ``layer1``, ``stages_0`` ..."""
    return name in ("blocks", "stages") or name.rstrip("0123456789").rstrip("_.") in ("layer", "stages", "blocks")
