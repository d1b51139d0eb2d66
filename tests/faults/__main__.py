"""What rdet promises, tried with many cases: python tests/faults [NAME ...] [--seed S] [--cases N] [--case I]"""

import argparse
import sys
import time

from fuzz import run
from readers import all_readers


def main() -> int:
    """Run the readers that are named, or all; print promise, cases and failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which readers; default: all")
    parser.add_argument("--seed", type=int, default=0, help="what the cases are drawn from (default: 0)")
    parser.add_argument("--cases", type=int, help="how many of each (default: fifty times those of the tests)")
    parser.add_argument("--case", type=int, help="run this one alone")
    args = parser.parse_args()
    readers = [reader for reader in all_readers() if not args.names or reader.name in args.names]
    if missing := set(args.names) - {reader.name for reader in readers}:
        parser.error(
            f"no reader is called {', '.join(sorted(missing))}; valid: {', '.join(r.name for r in all_readers())}"
        )
    failed = 0
    for reader in readers:
        begun = time.time()
        count = args.cases or 50 * reader.cases
        cases = range(count) if args.case is None else range(args.case, args.case + 1)
        failures = run(reader, args.seed, cases)
        failed += len(failures)
        for failure in failures:
            print(failure)
        print(
            f"{reader.name:40} {len(cases):6} cases {len(failures):6} failed {time.time() - begun:8.1f} s", flush=True
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
