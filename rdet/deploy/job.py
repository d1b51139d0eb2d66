"""What an export writes: a network, an example of its inputs, and what the file shall say of itself."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rdet.deploy.metadata import LONGEST_SIDE, Metadata
from rdet.deploy.not_exported import not_exported
from rdet.deploy.quantization import Quantization


@dataclass(frozen=True)
class Job:
    """What is written.

    Attributes:
        network: A :class:`~rdet.deploy.tensor_detector.TensorDetector` on the CPU.
        inputs: Images and their sizes, an example.
        metadata: What the file shall say of itself.
        quantization: How its convolutions become int8; None: they do not.
    """

    network: nn.Module
    inputs: tuple[Tensor, Tensor]
    metadata: Metadata
    quantization: Quantization | None = None

    def dynamic_shapes(self) -> dict[str, dict[int, Any]] | None:
        """Return which sides of the inputs are free, as ``torch.export`` takes them; None: none."""
        images: dict[int, Any] = {}
        sizes: dict[int, Any] = {}
        if self.metadata.batch is None:
            images[0] = sizes[0] = torch.export.Dim("batch", min=1, max=4096)
        if self.metadata.size is None:
            divisor = self.metadata.divisor
            for axis, name in ((2, "height"), (3, "width")):
                side = torch.export.Dim(name, min=1, max=LONGEST_SIDE // divisor)
                images[axis] = side if divisor == 1 else divisor * side
        return {"images": images, "image_sizes": sizes} if images or sizes else None

    def program(self) -> torch.export.ExportedProgram:
        """Trace the network.

        Raises:
            ConfigError: A part of it cannot be traced.
        """
        try:
            with torch.no_grad(), quiet():
                return torch.export.export(
                    self.network, self.inputs, dynamic_shapes=self.dynamic_shapes(), strict=False
                )
        except Exception as error:  # of any part of the model, or of torch
            raise not_exported(error, self.metadata) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters say of their progress and of what they will do away with from the terminal."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
