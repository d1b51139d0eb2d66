"""How many predictions have gradients of each length, and the weights that make up for it."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rdet.processes import adds_up
from rdet.schema import Count, Fraction


class GradientDensity(nn.Module):
    """The inverse of the density of gradients' lengths (GHM, Li et al., AAAI 2019, section 3.2, equations 4 to 7).

    Lengths lie in [0, 1]; as many bins of equal width divide them. An element weighs one over the number of elements of
    its bin, and over the number of bins that have any. With a momentum the number is a running mean, which begins at 0
    and moves where a bin has elements; the elements of all processes are counted.

    Args:
        bins: Number of bins.
        momentum: What stays of the running mean in a step; 0: there is none.

    Attributes:
        mean: (bins,) the running mean; of what is trained alone.
    """

    mean: Tensor | None

    def __init__(self, bins: Count, momentum: Fraction):
        super().__init__()
        if bins < 1 or not 0 <= momentum < 1:
            raise ValueError(f"bins is {bins} and momentum is {momentum}; expected bins >= 1 and 0 <= momentum < 1")
        self.bins = bins
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(bins) if momentum > 0 else None)

    @torch.no_grad()
    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Weigh elements level by level, each with its own density; the running mean goes from one to the next.

        Args:
            levels: The lengths (...) of each level; below 0 where an element does not count.

        Returns:
            Weights (...) of each level, 0 where an element does not count.
        """
        inner = torch.arange(1, self.bins, device=levels[0].device) / self.bins  # where one bin ends and another begins
        counts = torch.stack([self._counts(lengths, inner) for lengths in levels])  # (L, bins)
        if adds_up():
            dist.all_reduce(counts)
            counts = counts / dist.get_world_size()  # gradients of the processes are averaged
        weights = []
        for lengths, count in zip(levels, counts, strict=True):
            has_any = count > 0
            density = count if self.mean is None else self._moved(count.to(self.mean.dtype))
            of_bin = torch.where(has_any, 1 / (density.clamp(min=torch.finfo(count.dtype).tiny) * has_any.sum()), 0)
            of_element = of_bin[torch.bucketize(lengths.contiguous(), inner, right=True)].to(lengths.dtype)
            weights.append(torch.where(lengths >= 0, of_element, 0))
        return weights

    def _counts(self, lengths: Tensor, inner: Tensor) -> Tensor:
        """Count the elements of each bin, (bins,) float32, without a wait for the device."""
        from_edge = [(lengths >= 0).sum(), *((lengths >= edge).sum() for edge in inner)]
        return -torch.stack(from_edge).diff(append=lengths.new_zeros(1, dtype=torch.int64)).float()

    def _moved(self, count: Tensor) -> Tensor:
        """Move the running mean in a training, and return the density of each bin."""
        assert self.mean is not None
        if self.training:
            self.mean.copy_(torch.where(count > 0, self.mean.lerp(count, 1 - self.momentum), self.mean))
        return torch.where(self.mean > 0, self.mean, count)
