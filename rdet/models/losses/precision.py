"""The precision that losses are computed in."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Of log(p): for p = 1 the logarithm of 1 - p is infinite, and so is the gradient of a power of 1 - p below 1.
NEARLY_0 = -1e-7


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32, which can hold 1 - p near 1 and areas in pixels; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def log_odds(log_p: Tensor) -> Tensor:
    """Compute log(p / (1 - p)), the logit whose sigmoid is p, of log(p); finite for p = 1, too."""
    log_p = log_p.clamp(max=NEARLY_0)
    return log_p - torch.log(-torch.expm1(log_p))


def softplus(x: Tensor) -> Tensor:
    """Compute log(1 + exp(x)), elementwise: -log(p_t) of x_t = -x.

    A compiled kernel computes log1p by log: there, torch's log1p alone takes as long as all the rest of a focal loss,
    and more arithmetic needs no further pass over the memory.
    """
    return _softplus_by_log(x) if torch.compiler.is_compiling() else F.softplus(x)


def _softplus_by_log(x: Tensor) -> Tensor:
    """Compute max(x, 0) + log(1 + e) with e = exp(-|x|).

    The rounding of 1 + e is undone as in Goldberg, "What Every Computer Scientist Should Know About Floating-Point
    Arithmetic", ACM Computing Surveys 1991, theorem 4.
    """
    e = torch.exp(-x.abs())
    rounded = 1 + e
    kept = rounded - 1  # what of e is left in 1 + e
    log = torch.where(kept == 0, e, torch.log(rounded) * (e / torch.where(kept == 0, 1, kept)))
    return x.clamp(min=0) + log
