"""Whether kernels in Triton can work on a tensor."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn

from rdet.messages import in_one_line
from rdet.models.recording import is_recording

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_LARGE = 2**23
# A way out where they fail on a card; `torch_operators_alone` is one for a part of a program.
_switched_off = os.environ.get("RDET_TRITON") == "0"


def usable(x: Tensor) -> bool:
    """Tell whether kernels may take a tensor: one of floats on the current GPU, in a plain call.

    What is compiled, exported or traced stays as torch's operators, which its reader knows.
    """
    return (
        x.is_cuda
        and type(x) in (Tensor, nn.Parameter)  # no fake tensor
        and x.dtype in _DTYPES
        and not _switched_off
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]  # torch.jit does have it
        and x.device.index == torch.cuda.current_device()  # where Triton starts kernels, whatever they are given
        and right(_add_a_bias, x.device)
    )


def pays(size: int) -> bool:
    """Tell whether one kernel for ``size`` numbers gains over two of torch's.

    The host takes longer to start it. So it does not where they are few, unless a recording starts it.
    """
    return is_recording() or size >= _LARGE


@contextmanager
def torch_operators_alone() -> Iterator[None]:
    """Do without the kernels inside, to compare."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


@cache
def right(check: Callable[[torch.device], bool], device: torch.device) -> bool:
    """Try kernels once, as no card of this kind may have been at hand when they were written.

    Args:
        check: Tells whether they compute on a device what torch's operators do.
        device: The device.

    Returns:
        Whether they do. If not, that is warned of, and torch's operators are to be taken.
    """
    try:
        if check(device):
            return True
        reason = "they compute other numbers than torch's operators"
    except torch.OutOfMemoryError:
        raise  # which says nothing of the kernels
    except Exception as error:
        reason = in_one_line(str(error)) or type(error).__name__
    what = check.__module__.rpartition(".")[2]
    warnings.warn(f"rdet's Triton kernels ({what}) cannot be used on {device}, which is slower: {reason}", stacklevel=2)
    return False


def _add_a_bias(device: torch.device) -> bool:
    """Try a kernel; torch for Windows and some others come without Triton, and Triton needs a C compiler."""
    from rdet.models.kernels.bias_relu import add_bias_

    tried = add_bias_(torch.zeros(1, 16, 1, 1, device=device), torch.ones(16, device=device), None, relu=True)
    return bool((tried == 1).all())
