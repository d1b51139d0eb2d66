"""DSSD's way back from coarse maps to fine ones."""

from torch import Tensor, nn

from rdet.models.necks.residual_ssd_neck import ResidualSSDNeck
from rdet.models.norms import build_norm, norms_in_eval
from rdet.models.xavier import init_xavier
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class DSSDNeck(ResidualSSDNeck):
    """SSD's levels, and from the coarsest of them deconvolutions to all finer ones (DSSD, Fu et al., arXiv:1701.06659).

    The coarsest level is SSD's own. Names of SSD's weights are those of :class:`ResidualSSDNeck`: a checkpoint of SSD
    brings them.

    Shapes: as :class:`ResidualSSDNeck`; all levels but the last have ``deconv_channels``.

    Args:
        deconv_channels: Of the deconvolution modules.
        frozen_ssd: Whether SSD's further levels never change, nor the statistics of their normalisations, as in the
            first stage of the training; the backbone has ``frozen_stages``.
        num_extra, extra_channels: Of SSD's further levels; see :class:`ResidualSSDNeck`.
        norm_cfg: Normalisation in their blocks and in the deconvolution modules.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        deconv_channels: Count = 512,
        frozen_ssd: bool = False,
        num_extra: Count = 4,
        extra_channels: Count = 1024,
        norm_cfg: dict | None = None,
    ):
        super().__init__(in_channels, in_strides, num_extra, extra_channels, norm_cfg)
        norm_cfg = {"type": "BN"} if norm_cfg is None else norm_cfg
        self.frozen_ssd = frozen_ssd
        coarser = [deconv_channels] * (len(self.out_channels) - 2) + self.out_channels[-1:]
        self.deconv_modules = nn.ModuleList(
            DeconvolutionModule(width, above, deconv_channels, norm_cfg)
            for width, above in zip(self.out_channels, coarser, strict=False)
        )
        self.out_channels = [*coarser[:1], *coarser]
        if frozen_ssd:
            self.extra_layers.requires_grad_(False)

    def train(self, mode: bool = True) -> "DSSDNeck":
        super().train(mode)
        if mode and self.frozen_ssd:
            norms_in_eval(self.extra_layers)
        return self

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = super().forward(maps)
        for index in reversed(range(len(levels) - 1)):
            levels[index] = self.deconv_modules[index](levels[index], levels[index + 1])
        return levels


class DeconvolutionModule(nn.Module):
    """The product of a map and an enlarged coarser one (Fu et al., section 3.3 and Figure 3).

    Shapes: (N, C, H, W), (N, C', ceil(H / 2), ceil(W / 2)) -> (N, channels, H, W).

    Args:
        in_channels: C.
        above_channels: C'.
        channels: Of the result and of what is multiplied.
        norm_cfg: Normalisation after each convolution but the transposed one.
    """

    def __init__(self, in_channels: int, above_channels: int, channels: int, norm_cfg: dict):
        super().__init__()
        self.lateral = nn.Sequential(
            *(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), build_norm(norm_cfg, channels)),
            nn.ReLU(inplace=True),
            *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), build_norm(norm_cfg, channels)),
        )
        self.enlarge = nn.ConvTranspose2d(above_channels, channels, 2, stride=2)
        self.enlarged = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), build_norm(norm_cfg, channels)
        )
        init_xavier(self)

    def forward(self, x: Tensor, above: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        enlarged = self.enlarge(above)[..., :height, :width]  # twice a size that was rounded up is one too many
        product: Tensor = self.lateral(x) * self.enlarged(enlarged)
        return product.relu()
