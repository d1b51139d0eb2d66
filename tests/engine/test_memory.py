"""The C library keeps freed memory, where it is glibc."""

import platform
import subprocess
import sys

import pytest

# Over 32 MiB glibc maps every block anew unless told otherwise. An aligned block it takes from a larger free one
# only, so the heap grows a few times before it is big enough: at moments that differ from run to run.
CODE = """
import resource
import torch
from rdet.engine.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(16):
        torch.ones(9 * 2**20)  # 36 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults())
assert keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again():
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    untold, kept = map(int, said.split())
    assert kept < 0.5 * untold
