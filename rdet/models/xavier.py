"""Glorot's initialisation of convolutions."""

from torch import nn


def init_xavier(network: nn.Module) -> None:
    """Draw the weights of all convolutions (transposed ones too) uniformly, as Glorot and Bengio do; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
