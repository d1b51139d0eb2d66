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
{setup}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    torch.ones(2**24)  # 64 MiB
before = faults()
for _ in range(32):
    torch.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again():
    def page_faults(setup: str) -> int:
        output = subprocess.run([sys.executable, "-c", CODE.format(setup=setup)], capture_output=True, text=True)
        return int(output.stdout)

    kept = page_faults("from rdet.engine.memory import keep_freed_memory; assert keep_freed_memory()")
    assert kept < 0.5 * page_faults("")
