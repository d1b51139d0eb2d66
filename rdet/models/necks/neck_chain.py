"""Necks one after another."""

from typing import Any

from torch import nn

from rdet.registry import MODELS, build_from_cfg
from rdet.schema import Count


@MODELS.register_module()
class NeckChain(nn.Sequential):
    """Several necks, each on the levels of the one before: ``necks=[dict(type='FPN'), dict(type='DyHead')]``.

    Shapes: list of (N, C_i, H_i, W_i) -> those of the last neck.

    Args:
        necks: Built one for the other.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(self, necks: list[nn.Module]):
        super().__init__(*necks)
        self.out_channels = necks[-1].out_channels
        self.strides = necks[-1].strides

    @classmethod
    def from_cfg(cls, in_channels: list[Count], in_strides: list[Count], necks: list[dict[str, Any]]) -> "NeckChain":
        """Build the necks of a config.

        Args:
            in_channels: Channels of each map of the backbone (inferred).
            in_strides: Their strides (inferred).
            necks: Their configs; widths and strides follow from the one before.

        Raises:
            ValueError: There is none.
        """
        if not necks:
            raise ValueError("NeckChain.necks is empty; name at least one neck")
        built: list[Any] = []
        for index, cfg in enumerate(necks):
            facts = {"in_channels": list(in_channels), "in_strides": list(in_strides)}
            built.append(build_from_cfg(cfg, MODELS, facts, where=f"model.neck.necks.{index}"))
            in_channels, in_strides = built[-1].out_channels, built[-1].strides
        return cls(built)
