"""CUDA graphs of detection: what a GPU does in a call, recorded once and replayed."""

import threading
from collections.abc import Callable
from copy import deepcopy
from types import MethodType
from typing import Any, NamedTuple
from weakref import WeakMethod

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.models.detectors.recordings import Recordings, check_replay, tensors_in
from rdet.models.recording import recording


class Captured:
    """Calls a function of tensors; on a GPU, where inputs of the same shapes come often, it replays the kernels.

    The host starts a recording as one, instead of each kernel: a single image is detected in a third of the time.
    The function must not look at a value, nor at anything but its arguments that changes, such as weights that are
    moved elsewhere. What else it returns than tensors is that of the call that was recorded. The first tensor that it
    returns is compared with a replay's: an operator that does not run on the stream that it is told would go unnoticed.

    Args:
        function: Tensors, the first of which are images -> tensors, in whatever holds them.

    Attributes:
        lock: For who calls it from several threads, to hold until what it returned is read.
    """

    def __init__(self, function: Callable[..., Any]):
        # A detector that keeps what calls its own method would, with its recordings, stay until it is looked for.
        self._function = WeakMethod(function) if isinstance(function, MethodType) else lambda: function
        self.lock = threading.Lock()
        self._recordings = Recordings[_Recording]("detection")
        self._pool: Any = None

    @property
    def function(self) -> Callable[..., Any]:
        """What is called; a method only as long as its object is there."""
        function = self._function()
        if function is None:
            raise ReferenceError("the object whose method is called is no more")
        return function

    def __call__(self, *inputs: Tensor) -> Any:
        """Call the function; what it returns is overwritten by the next call with the same shapes."""
        recording = None
        if all(tensor.is_cuda for tensor in inputs):
            key = tuple((tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in inputs)
            recording = self._recordings.of(key, lambda: self._record(inputs))
        if recording is None:
            return self.function(*inputs)
        for own, given in zip(recording.inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        recording.graph.replay()
        return recording.outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> "_Recording":
        """Record a call; raise RuntimeError if the function does what cannot be recorded."""
        own = tuple(tensor.clone() for tensor in inputs)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream), recording():
            with NothingFromTheHost():
                self.function(*own)  # what it makes on its first call and keeps must be no part of the recording
            torch.clear_autocast_cache()  # weights that are cast in this call last as long as the call
            # Of this thread alone: others may read ahead and pin memory meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                outputs = self.function(*own)
            torch.clear_autocast_cache()
            own[0].copy_(inputs[0].flip(-1))
            expected = next(tensors_in(self.function(*own)))
            graph.replay()
            check_replay([next(tensors_in(outputs))], [expected])
        torch.cuda.current_stream().wait_stream(stream)
        self._pool = graph.pool()
        return _Recording(graph, own, outputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Captured":
        return Captured(deepcopy(self.function, memo))  # a recording reads the weights of its own detector


class _Recording(NamedTuple):
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: Any


class NothingFromTheHost(TorchDispatchMode):
    """Raise RuntimeError where numbers are copied from the host: a replay would read what is no longer there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("_to_copy", "copy_"):
            source = args[1] if name == "copy_" else args[0]
            if source.device.type == "cpu" and result.device.type != "cpu":
                raise RuntimeError("numbers are copied from the host")
        return result
