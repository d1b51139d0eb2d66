"""Training by CUDA graphs: forward and backward of a network, recorded once and replayed."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_unflatten

from rdet.models.detectors.captured import NothingFromTheHost
from rdet.models.detectors.recordings import Recordings, check_gradients, check_replay
from rdet.models.recording import recording
from rdet.structures import DensePredictions

_TENSOR = object()  # in the place of a tensor
# Before a step is recorded, so that libraries have chosen their algorithms.
_WARM_UP = 2


class GraphedNetwork:
    """Runs a network in training; where batches of the same shape come often, it replays the kernels, both ways.

    The host starts a recording as one: a step takes as long as its kernels, where starting each of them takes
    longer. Losses and the optimizer are as ever. Predictions last until the next step: each forward pass has its
    backward pass before the next.

    Args:
        parts: Returns the modules whose weights are trained.
        run: Images (N, 3, H, W) -> predictions, by these modules.
    """

    def __init__(self, parts: Callable[[], dict[str, nn.Module]], run: Callable[[Tensor], DensePredictions]):
        self.parts = parts
        self.run = run
        self._recordings = Recordings[RecordedStep]("cuda_graphs: a step of training")
        self._memory: Memory | None = None

    def __call__(self, inputs: Tensor) -> DensePredictions:
        """Run the network on images (N, 3, H, W)."""
        if not inputs.is_cuda:
            return self.run(inputs)
        with torch.cuda.device(inputs.device):
            recorded = self._recordings.of(self._key(inputs), lambda: self._record(inputs))
            return self.run(inputs) if recorded is None else recorded(inputs)

    def _key(self, inputs: Tensor) -> Hashable:
        parts = self.parts().values()
        # A recording reads weights and statistics where they were.
        read = tuple((p.data_ptr(), p.requires_grad) for part in parts for p in part.parameters())
        read += tuple((buffer.data_ptr(), False) for part in parts for buffer in part.buffers())
        mixed = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        return inputs.shape, inputs.stride(), inputs.dtype, inputs.device, mixed, read

    def _record(self, inputs: Tensor) -> "RecordedStep":
        """Record forward and backward; raise RuntimeError if the network does what cannot be recorded."""
        network = TensorsOf(self.parts(), self.run)
        if any("SyncBatchNorm" in type(module).__name__ for module in network.modules()):  # torch's and mmcv's
            raise RuntimeError("synchronised batch normalisation needs other processes, which may not record now")
        self._memory = self._memory or Memory(torch.cuda.Stream(), torch.cuda.graph_pool_handle())
        with as_if_not_run(network, inputs.device), _casts_in_the_recording(), recording():
            return RecordedStep(network, inputs, self._memory)

    def __deepcopy__(self, memo: dict[int, Any]) -> "GraphedNetwork":
        return GraphedNetwork(deepcopy(self.parts, memo), deepcopy(self.run, memo))  # a recording has its own weights


@dataclass
class Memory:
    """What recordings share, of which one is used at a time: their maps lie in the same places.

    Attributes:
        stream: On which all are recorded: torch gives memory again to its own stream alone.
        pool: torch's handle of it.
        last: Counts forward passes; what the last one wrote is there until the next.
    """

    stream: torch.cuda.Stream
    pool: Any
    last: int = 0


class TensorsOf(nn.Module):
    """A network that returns nothing but tensors, and puts them together again."""

    def __init__(self, parts: dict[str, nn.Module], run: Callable[[Tensor], DensePredictions]):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._run = run

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        leaves, self._spec = tree_flatten(self._run(inputs))
        self._others = [_TENSOR if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))

    def predictions(self, tensors: tuple[Tensor, ...]) -> DensePredictions:
        """Put tensors in the places from which they were taken."""
        given = iter(tensors)
        leaves = [next(given) if other is _TENSOR else other for other in self._others]
        made: DensePredictions = tree_unflatten(leaves, self._spec)
        return made


class RecordedStep:
    """Forward and backward of a network for images of one shape.

    torch has ``make_graphed_callables`` for it, which fails where something keeps the last step's graph, as
    ``DistributedDataParallel`` does, and gives gradients that the next step overwrites. Here the recorded weights are
    tensors of their own, in the same memory.

    Args:
        network: Its weights that are trained are read where they are.
        inputs: (N, 3, H, W).
        memory: Shared by the recordings of a network.

    Attributes:
        parameters: The weights.
        without_gradient: Which outputs have none.

    Raises:
        RuntimeError: Something cannot be recorded, or a replay does not give what the network does.
    """

    def __init__(self, network: TensorsOf, inputs: Tensor, memory: Memory):
        self.network = network
        self.memory = memory
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self._weights = {p: p.detach().requires_grad_() for p in self.parameters}
        self._inputs = inputs.clone()
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        stream = memory.stream
        stream.wait_stream(torch.cuda.current_stream())
        # Errors of this thread alone count: others may read ahead and pin memory meanwhile.
        options: dict[str, Any] = {"pool": memory.pool, "stream": stream, "capture_error_mode": "thread_local"}
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                with NothingFromTheHost():
                    tried = self._run()
                self._gradients_of(tried, [torch.ones_like(one) for one in tried if one.requires_grad])
            del tried
            with torch.cuda.graph(self._forward, **options):
                outputs = self._run()
            self._upstream = [torch.empty_like(one) for one in outputs if one.requires_grad]
            with torch.cuda.graph(self._backward, **options):
                self._gradients = self._gradients_of(outputs, self._upstream)
            self.without_gradient = [not one.requires_grad for one in outputs]
            self._outputs = [one.detach() for one in outputs]
            del outputs
            self._check(torch.randn_like(inputs))
        torch.cuda.current_stream().wait_stream(stream)

    def _run(self) -> tuple[Tensor, ...]:
        with in_place_of(self._weights, self.network):
            found: tuple[Tensor, ...] = self.network(self._inputs)
        return found

    def _gradients_of(self, outputs: tuple[Tensor, ...], upstream: list[Tensor]) -> tuple[Tensor | None, ...]:
        differentiable = [one for one in outputs if one.requires_grad]
        return torch.autograd.grad(differentiable, list(self._weights.values()), upstream, allow_unused=True)

    def __call__(self, inputs: Tensor) -> DensePredictions:
        """Run the network on images of the same shape."""
        return self.network.predictions(_Replay.apply(self, inputs, *self.parameters))

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Replay the forward pass; the next one overwrites what is returned."""
        self._inputs.copy_(inputs, non_blocking=True)
        self._forward.replay()
        self.memory.last += 1
        return tuple(one.detach() for one in self._outputs)

    def backward(self, upstream: tuple[Tensor, ...]) -> list[Tensor | None]:
        """Replay the backward pass, of the outputs' gradients; return those of ``parameters``."""
        given = [one for one, has_none in zip(upstream, self.without_gradient, strict=True) if not has_none]
        torch._foreach_copy_(self._upstream, given)
        self._backward.replay()
        found = [one for one in self._gradients if one is not None]
        copies = iter(torch._foreach_mul(found, 1.0))  # in few kernels; the next step writes over the others
        return [None if one is None else next(copies) for one in self._gradients]

    def _check(self, inputs: Tensor) -> None:
        """Raise RuntimeError unless both ways are as without a recording."""
        torch.cuda.manual_seed(0)
        found = self.forward(inputs)
        torch.cuda.manual_seed(0)
        expected = self._run()
        upstream = [one.detach().sin() for one in expected]
        has = self.backward(tuple(upstream))
        given = [one for one, has_none in zip(upstream, self.without_gradient, strict=True) if not has_none]
        wanted = self._gradients_of(expected, given)
        check_replay(found, expected)
        check_gradients(has, wanted)


@contextmanager
def in_place_of(others: Mapping[nn.Parameter, Tensor], network: nn.Module) -> Iterator[None]:
    """Have a network compute with other tensors than some of its parameters.

    ``torch.func.functional_call`` leaves a layer that a network has under two names, as RTMDet's shared convolutions,
    with the other tensors for good.
    """
    places = [(m._parameters, name, p) for m in network.modules() for name, p in m._parameters.items() if p in others]
    try:
        for parameters, name, p in places:
            parameters[name] = others[p]  # type: ignore[assignment, index]  # torch takes tensors, too
        yield
    finally:
        for parameters, name, p in places:
            parameters[name] = p


class _Replay(torch.autograd.Function):
    """A :class:`RecordedStep` between the images and the real weights."""

    @staticmethod
    def forward(ctx: Any, step: RecordedStep, inputs: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        found = step.forward(inputs)
        ctx.step, ctx.number = step, step.memory.last
        without = [one for one, has_none in zip(found, step.without_gradient, strict=True) if has_none]
        ctx.mark_non_differentiable(*without)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.number != ctx.step.memory.last:
            raise RuntimeError(
                "cuda_graphs: another forward pass has written over what this backward pass needs; go backward after "
                "each forward pass, or train without cuda_graphs"
            )
        return None, None, *ctx.step.backward(upstream)


class as_if_not_run(AbstractContextManager[None]):
    """Give a network back its statistics, and torch its random numbers: a recording runs it several times."""

    def __init__(self, network: nn.Module, device: torch.device):
        self._buffers = list(network.buffers())
        self._random = torch.random.fork_rng(devices=[device])

    def __enter__(self) -> None:
        self._before = [buffer.clone() for buffer in self._buffers]
        self._random.__enter__()

    def __exit__(self, *raised: Any) -> None:
        with torch.no_grad():
            for buffer, before in zip(self._buffers, self._before, strict=True):
                buffer.copy_(before)
        self._random.__exit__(*raised)


def _casts_in_the_recording() -> AbstractContextManager[Any]:
    """Cast weights in each recording: what autocast keeps lasts as long as a step."""
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    return torch.autocast("cuda", dtype=dtype, enabled=enabled, cache_enabled=False)
