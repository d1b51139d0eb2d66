"""Compiles Triton kernels for cards that are not at hand: python compile_kernels.py JOBS.json

A job has ``module``, ``name``, ``signature`` (argument -> type), ``constants``, ``multiples`` (names of what is a
multiple of 16), ``warps`` and ``card``, its compute capability. For each, a line says how many bytes a thread keeps
outside its registers.
"""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


def main(jobs: list[dict]) -> None:
    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    for job in jobs:
        kernel = getattr(importlib.import_module(job["module"]), job["name"])
        # As Triton takes it, in whose signature a constant is one more type.
        signature = {name: job["signature"].get(name, "constexpr") for name in kernel.arg_names}
        multiples = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in job["multiples"]}
        source = ASTSource(fn=kernel, signature=signature, constexprs=job["constants"], attrs=multiples)
        target = GPUTarget("cuda", job["card"], 32)
        compiled = triton.compile(source, target=target, options={"num_warps": job["warps"]})
        binary = Path(sys.argv[1]).with_suffix(".cubin")
        binary.write_bytes(compiled.asm["cubin"])
        used = subprocess.run([tools / "cuobjdump", "-res-usage", binary], capture_output=True, text=True, check=True)
        (stack,) = re.findall(r"STACK:(\d+)", used.stdout)
        print(job["name"], job["card"], stack)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
