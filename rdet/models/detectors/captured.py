"""CUDA graphs of detection: what a GPU does in a call, recorded once and replayed."""

import threading
from collections.abc import Callable, Hashable
from copy import deepcopy
from types import MethodType
from typing import Any, NamedTuple
from weakref import WeakMethod

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rdet.models.detectors.recordings import Recordings, check_replay, tensors_in
from rdet.models.recording import recording


class Captured:
    """Calls a function of tensors; on a GPU, where inputs of the same shapes come often, it replays the kernels.

    The host starts a recording as one, instead of each kernel: a single image is detected in a third of the time.
    The function must not look at a value. What else it returns than tensors is that of the call that was recorded. Its
    numbers are compared with those of a replay: an operator that does not run on the stream that it is told would go
    unnoticed.

    Args:
        function: Tensors, the first of which are images -> tensors, in whatever holds them.
        state: Says on what the result depends besides the arguments: where weights lie, and settings.

    Attributes:
        lock: For who calls it from several threads, to hold until what it returned is read.
    """

    def __init__(self, function: Callable[..., Any], state: Callable[[], Hashable] | None = None):
        self._function, self._state = _weak(function), None if state is None else _weak(state)
        self.lock = threading.Lock()
        self._recordings = Recordings[_Recording]("detection")
        self._pool: Any = None
        self._stream: torch.cuda.Stream | None = None

    @property
    def function(self) -> Callable[..., Any]:
        """What is called; a method only as long as its object is there."""
        return self._function()

    def __call__(self, *inputs: Tensor) -> Any:
        """Call the function; what it returns is overwritten by the next call with the same shapes."""
        if not all(tensor.is_cuda for tensor in inputs):
            return self.function(*inputs)
        with torch.cuda.device(inputs[0].device):
            recorded = self._recordings.of(self._key(inputs), lambda: self._record(inputs))
            if recorded is None:
                return self.function(*inputs)
            for own, given in zip(recorded.inputs, inputs, strict=True):
                own.copy_(given, non_blocking=True)
            recorded.graph.replay()
            return recorded.outputs

    def _key(self, inputs: tuple[Tensor, ...]) -> Hashable:
        state = None if self._state is None else self._state()()
        mixed = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        return state, mixed, *((tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in inputs)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _record(self, inputs: tuple[Tensor, ...]) -> "_Recording":
        """Record a call; raise RuntimeError if the function does what cannot be recorded."""
        own = tuple(tensor.clone() for tensor in inputs)
        self._stream = self._stream or torch.cuda.Stream()  # recordings of one stream share the memory of a pool
        self._stream.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream), recording():
            with NothingFromTheHost():
                self.function(*own)  # what it makes on its first call and keeps must be no part of the recording
            torch.clear_autocast_cache()  # weights that are cast in this call last as long as the call
            # Of this thread alone: others may read ahead and pin memory meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                outputs = self.function(*own)
            torch.clear_autocast_cache()
            own[0].copy_(torch.randn_like(own[0]))
            expected = tensors_in(self.function(*own))
            graph.replay()
            check_replay(tensors_in(outputs), expected)
        torch.cuda.current_stream().wait_stream(self._stream)
        self._pool = graph.pool()
        return _Recording(graph, own, outputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Captured":
        state = None if self._state is None else deepcopy(self._state(), memo)
        return Captured(deepcopy(self.function, memo), state)  # a recording reads the weights of its own detector


class _Recording(NamedTuple):
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: Any


def _weak(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Hold a method as long as its object is there: an object that kept itself would stay, with its recordings."""
    if not isinstance(function, MethodType):
        return lambda: function
    held = WeakMethod(function)

    def get() -> Callable[..., Any]:
        found: Callable[..., Any] | None = held()
        if found is None:
            raise ReferenceError("the object whose method is called is no more")
        return found

    return get


class NothingFromTheHost(TorchDispatchMode):
    """Raise RuntimeError where the host gives numbers or looks at some: a replay would read what is no longer there."""

    _LOOKS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in self._LOOKS:
            raise RuntimeError("the host looks at a value")
        result = func(*args, **(kwargs or {}))
        if any(_is_elsewhere(tensor) for tensor in tree_leaves(result)):
            for tensor in tree_leaves((args, kwargs)):
                if isinstance(tensor, Tensor) and tensor.device.type == "cpu" and tensor.dim() > 0:
                    raise RuntimeError("numbers are copied from the host")
        return result


def _is_elsewhere(found: Any) -> bool:
    return isinstance(found, Tensor) and found.device.type != "cpu"
