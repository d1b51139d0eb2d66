"""What rdet promises, tried with many cases: python tests/faults [NAME ...] [--seed S] [--cases N] [--case I]"""

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
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
    parser.add_argument("--short", action="store_true", help="as few as the test suite tries")
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
    rows = {}
    for promise, cases, outcome, seconds in _tried(_parts(promises, args), args.seed, args.jobs):
        for failure in outcome.failures:
            print(f"{promise.name}, case {failure}")
        rows[promise.name] = _row(promise, cases, outcome, seconds)
        print(_line(rows[promise.name]), flush=True)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps({"seed": args.seed, "promises": list(rows.values())}, indent=1) + "\n")
    if len(rows) > 1:
        print("\n".join(["", "| promise | cases | failed |", "|---|---|---|"]))
        for row in (rows[promise.name] for promise in promises):
            print(f"| {row['name']}: {row['sentence']} | {row['cases']} | {row['failed']} |")
    return int(any(row["failed"] for row in rows.values()))


def _parts(promises: list[Promise], args: argparse.Namespace) -> list[tuple[Promise, range]]:
    """Cuts the cases into parts that processes can take, those that cannot be cut first: they last longest."""
    parts = []
    for promise in sorted(promises, key=lambda promise: promise.divides):
        if args.case is not None:
            parts.append((promise, range(args.case, args.case + 1)))
            continue
        count = promise.short if args.short else promise.long
        if args.cases is not None:
            count = args.cases if promise.divides else min(args.cases, promise.long)
        share = -(-count // args.jobs) if promise.divides else count
        parts += [(promise, range(begun, min(begun + share, count))) for begun in range(0, count, share or 1)]
    return parts


def _tried(parts: list[tuple[Promise, range]], seed: int, jobs: int) -> Iterator[tuple[Promise, int, Outcome, float]]:
    """Has processes try the parts; gives each promise when all its parts are done, with the seconds that they took."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(parts), {}
    left = Counter(promise.name for promise, _ in parts)
    outcomes = {promise.name: (Outcome(), [0, 0.0]) for promise, _ in parts}
    while waiting or running:
        while waiting and len(running) < jobs:
            promise, cases = waiting.pop(0)
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(promise, seed, cases, theirs))
            process.start()
            theirs.close()
            running[ours] = promise, cases, process, time.time()
        for ours in multiprocessing.connection.wait(list(running)):
            promise, cases, process, begun = running.pop(ours)
            outcome, totals = outcomes[promise.name]
            try:
                outcome.add(ours.recv())
            except EOFError:
                process.join()
                outcome.add(_untried(cases, f"the process of {cases} died with code {process.exitcode}"))
            process.join()
            totals[0] += len(cases)
            totals[1] += time.time() - begun
            left[promise.name] -= 1
            if not left[promise.name]:
                yield promise, totals[0], outcome, totals[1]


def _work(promise: Promise, seed: int, cases: range, result) -> None:
    try:
        outcome = promise.check(seed, cases)
    except Exception:
        outcome = _untried(cases, f"it cannot be tried: {traceback.format_exc()}")
    result.send(outcome)


def _untried(cases: range, why: str) -> Outcome:
    """Counts all cases of a part as failed: those that were tried before cannot be told from the others."""
    others = [f"{case}: not tried, as case {cases.start} says" for case in cases[1:]]
    return Outcome([f"{cases.start}: {why}", *others])


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
