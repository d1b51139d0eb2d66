"""Triton compiles each kernel for cards that are not at hand, where its interpreter takes what no card does."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
KERNELS = {
    *("_bias_relu", "_with_gradient", "_scaled", "_finite"),
    *("_maxima", "_choose", "_set_apart", "_by_score", "_suppress"),
}
TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.bool: "*i1",
    float: "fp32",
    int: "i32",
}


def start_each_kernel():
    """As a training and a detection in bfloat16 do, and a detection of one class in float32."""
    from rdet.models.kernels import best, bias_relu, finite, focal, suppression

    maps, bias = torch.zeros(2, 64, 8, 8, dtype=torch.bfloat16).to(memory_format=torch.channels_last), torch.zeros(64)
    bias_relu.add_bias_(maps, bias, maps.clone(), relu=True)
    logits, labels = torch.zeros(70, 80, dtype=torch.bfloat16), torch.zeros(70, dtype=torch.int64)
    gradient = torch.empty_like(logits)
    focal.with_gradient(logits, labels, 2.0, (0.25, 0.75), None, gradient)
    focal.scaled(gradient, torch.ones(70, 1), torch.bfloat16)
    finite.zero_or_nan(logits[None])
    found = torch.zeros(1, 90, 4), torch.zeros(1, 90), torch.zeros(1, 90, dtype=torch.int64)
    for agnostic in (False, True):
        suppression.suppressed(*found, found[1] == 0, 100, 0.5, agnostic)
    best.best_of_levels(logits[None], -3.0, 1000, [60, 10])
    best.best_of_levels(logits[None, :, :1].float(), None, 50, [60, 10])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a card compiles what it runs")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.usefixtures("bounds_of_loops")
def test_each_kernel_compiles_for_a_hopper_card(monkeypatch, tmp_path):
    from triton.runtime.interpreter import InterpretedFunction

    if not hasattr(InterpretedFunction, "run"):
        pytest.skip("the interpreter of Triton 3.3 has no method to note starts in")
    pytest.importorskip("triton.backends.nvidia")
    jobs, run = [], InterpretedFunction.run

    def note(kernel, *args, grid, warmup, **options):
        parameters = inspect.signature(kernel.fn)
        warps = options.get("num_warps", 4)
        given = parameters.bind(*args, **{k: v for k, v in options.items() if k in parameters.parameters}).arguments
        constants = {n for n, p in parameters.parameters.items() if "constexpr" in str(p.annotation)}
        numbers = {name: value for name, value in given.items() if name not in constants}
        fixed = kernel.kwargs.get("do_not_specialize") or ()
        jobs.append(
            {
                "module": kernel.fn.__module__,
                "name": kernel.fn.__name__,
                "signature": {
                    name: TYPES[value.dtype if isinstance(value, Tensor) else type(value)]
                    for name, value in numbers.items()
                },
                # Memory of tensors is aligned on a card.
                "multiples": [
                    name
                    for name, value in numbers.items()
                    if isinstance(value, Tensor) or (isinstance(value, int) and value % 16 == 0 and name not in fixed)
                ],
                "constants": {name: given[name] for name in constants},
                "warps": warps,
                "card": 90,
            }
        )
        return run(kernel, *args, grid=grid, warmup=warmup, **options)

    monkeypatch.setattr(InterpretedFunction, "run", note)
    start_each_kernel()
    assert {job["name"] for job in jobs} == KERNELS
    written = tmp_path / "jobs.json"
    written.write_text(json.dumps(jobs))
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    # Nothing of it is for later.
    environment |= {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = Path(__file__).with_name("compile_kernels.py")
    done = subprocess.run([sys.executable, program, written], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(jobs)
    # Bytes of a thread in its memory; more, and this limits it.
    assert max(int(line.split()[-1]) for line in done.stdout.splitlines()) < 128, done.stdout
