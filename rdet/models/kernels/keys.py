"""Numbers by which kernels order floats."""

import triton
import triton.language as tl

# The key of what does not count; no float has it.
NO_KEY = tl.constexpr(-(2**31))


@triton.jit
def key_of(value, threshold, has_threshold: tl.constexpr, shift: tl.constexpr):
    """Make int32 in the order of float32; NaN is the largest, as in torch's topk, unless there is a threshold.

    Args:
        value: float32.
        threshold: What does not exceed it has no key.
        has_threshold: Whether there is one.
        shift: How many digits of a float32 are 0 in all of these.
    """
    bits = value.to(tl.int32, bitcast=True)
    key = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) >> shift
    if has_threshold:
        key = tl.where(value > threshold, key, NO_KEY)
    else:
        key = tl.where(value != value, 0x7FFFFFFF >> shift, key)
    return key
