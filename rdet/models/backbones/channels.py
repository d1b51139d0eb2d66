"""The first convolution of networks for images that have not three channels."""

from torch import Tensor


def adapted(weight: Tensor, channels: int) -> Tensor:
    """Make the weight of a first convolution (C, 3, h, w), of three channels, one of ``channels`` channels.

    As timm does it: the sum for one channel; for others the three in turn, times 3 / channels.
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, [i % 3 for i in range(channels)]] * (3 / channels)
