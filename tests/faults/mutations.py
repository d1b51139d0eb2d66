"""Takes guards away and reports those whose absence no test notices: python tests/faults/mutations.py [WORD ...]

A guard is tried if one of the words is in its file, code or test; without words, all are.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=2, help="guards at a time (default: 2)")
    args = parser.parse_args()
    guards = [guard for guard in GUARDS if not args.words or any(word in " ".join(guard) for word in args.words)]
    failed = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        for guard, why in zip(guards, pool.map(noticed, guards), strict=True):
            failed += why is not None
            print(f"{why or 'noticed':8} {guard.file}: {guard.text.strip().splitlines()[0]} ({guard.test})", flush=True)
    print(f"{len(guards)} guards, {failed} whose absence no test notices")
    return int(failed > 0)


def noticed(guard: Guard) -> str | None:
    """Runs a guard's test without it; returns None if the test fails, as it must, else what is wrong."""
    source = (ROOT / guard.file).read_text(encoding="utf-8")
    if source.count(guard.text) != 1:
        return f"NOT A GUARD: its code is there {source.count(guard.text)} times"
    with tempfile.TemporaryDirectory(prefix="rdet_mutation_") as folder:
        tree = Path(folder) / "tree"
        ignored = shutil.ignore_patterns(".git", ".venv", "work_dirs", "data", "__pycache__", ".*_cache", "*.egg-info")
        shutil.copytree(ROOT, tree, ignore=ignored)
        (tree / guard.file).write_text(source.replace(guard.text, guard.without), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", guard.test]
        try:
            ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return None
    if ended.returncode in (1, 2):  # 2: a Ctrl-C that the test sent ended pytest
        return None
    if ended.returncode == 0:
        return "NOT NOTICED"
    return f"CANNOT BE TRIED: {(ended.stdout + ended.stderr)[-300:]}"


if __name__ == "__main__":
    sys.exit(main())
