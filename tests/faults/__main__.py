"""What rdet promises, tried with many cases: python tests/faults [NAME ...] [--seed S] [--cases N] [--case I]"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from promise import Outcome, Promise
from promises import all_promises


def main() -> int:
    """Try the promises that are named, or all; print promise, cases and failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which promises; default: all")
    parser.add_argument("--list", action="store_true", help="print names and sentences, and try nothing")
    parser.add_argument("--seed", type=int, default=0, help="what the cases are drawn from (default: 0)")
    parser.add_argument("--cases", type=int, help="how many of each (default: as many as each promise has)")
    parser.add_argument("--case", type=int, help="try this one alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes that share the cases (default: 2)")
    parser.add_argument("--out", type=Path, help="write the table there, as json")
    args = parser.parse_args()
    known = all_promises()
    promises = [promise for promise in known if not args.names or promise.name in args.names]
    if missing := set(args.names) - {promise.name for promise in promises}:
        parser.error(f"there is no {', '.join(sorted(missing))}; valid: {', '.join(each.name for each in known)}")
    if args.list:
        print("\n".join(f"{promise.name:28} {promise.sentence}" for promise in promises))
        return 0
    rows = []
    for promise in promises:
        count = promise.long if args.cases is None else args.cases if promise.divides else min(args.cases, promise.long)
        cases = range(count) if args.case is None else range(args.case, args.case + 1)
        begun = time.time()
        outcome = _shared(promise, args.seed, cases, args.jobs if promise.divides else 1)
        for failure in outcome.failures:
            print(f"{promise.name}, case {failure}")
        rows.append(_row(promise, len(cases), outcome, time.time() - begun))
        print(_line(rows[-1]), flush=True)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps({"seed": args.seed, "promises": rows}, indent=1) + "\n")
    if len(rows) > 1:
        print("\n".join(["", "| promise | cases | failed |", "|---|---|---|"]))
        print("\n".join(f"| {row['name']}: {row['sentence']} | {row['cases']} | {row['failed']} |" for row in rows))
    return int(any(row["failed"] for row in rows))


def _shared(promise: Promise, seed: int, cases: range, jobs: int) -> Outcome:
    """Has processes share the cases."""
    context, outcome, working = multiprocessing.get_context("fork"), Outcome(), []
    share = max(1, -(-len(cases) // jobs))
    for begun in range(cases.start, cases.stop, share):
        ours, theirs = context.Pipe()
        part = range(begun, min(begun + share, cases.stop))
        process = context.Process(target=_work, args=(promise, seed, part, theirs))
        process.start()
        theirs.close()
        working.append((process, ours, part))
    for process, ours, part in working:
        try:
            outcome.add(ours.recv())
        except EOFError:
            process.join()
            outcome.failures.append(f"{part.start}: the process of cases {part} died with code {process.exitcode}")
        process.join()
    return outcome


def _work(promise: Promise, seed: int, cases: range, result) -> None:
    try:
        outcome = promise.check(seed, cases)
    except Exception:
        outcome = Outcome([f"{cases.start}: it cannot be tried: {traceback.format_exc()}"])
    result.send(outcome)


def _row(promise: Promise, cases: int, outcome: Outcome, seconds: float) -> dict:
    failed = {failure.partition(":")[0] for failure in outcome.failures}
    return {
        "name": promise.name,
        "sentence": promise.sentence,
        "cases": cases,
        "failed": len(failed),
        "seconds": round(seconds, 1),
        "counts": outcome.counts,
        "figures": outcome.figures,
        "failures": outcome.failures,
    }


def _line(row: dict) -> str:
    more = [f"{number} {how}" for how, number in sorted(row["counts"].items())]
    more += [f"{what}: {figure:.4g}" for what, figure in row["figures"].items()]
    line = f"{row['name']:28} {row['cases']:6} cases {row['failed']:6} failed {row['seconds']:8.1f} s"
    return line + (f"  ({', '.join(more)})" if more else "")


if __name__ == "__main__":
    sys.exit(main())
