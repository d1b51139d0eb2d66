"""From a command line to the detectors of a comparison, each of which can be built."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rdet.analysis.compare.feasible import equal_weights
from rdet.analysis.compare.swap import parse_swap
from rdet.analysis.compare.variant import Variant, check_names, swapped, variants_of
from rdet.errors import ComparisonError, RdetError
from rdet.messages import in_one_line


def prepare(
    configs: Sequence[Path], swaps: Sequence[str], options: Sequence[str], folder: Path
) -> tuple[list[Variant], dict[str, float]]:
    """Load the configs, make the swaps' ones, and build all detectors, so that none fails after hours.

    Args:
        configs: Paths of configs; the first is the base.
        swaps: As ``--swap`` has them.
        options: ``KEY=VALUE`` overrides of all.
        folder: Where the swaps' configs go.

    Returns:
        The detectors, the base first; and the share of the base's weights with which each begins too.

    Raises:
        ComparisonError: Some cannot be made or built; the reason of each was printed.
        ConfigError: A config cannot be read, or two detectors have one name.
    """
    variants = variants_of(configs, options)
    failures = []
    for text in swaps:
        try:
            swap = parse_swap(text)
            variants.append(swapped(variants[0], swap, folder))
        except RdetError as error:
            failures.append(str(error))
    check_names(variants)
    shares, not_built = equal_weights(variants)
    failures += not_built
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if failures:
        raise ComparisonError("not all detectors can be built; nothing was trained")
    for variant in variants:
        if variant.kept:
            print(f"{in_one_line(variant.name)} keeps {', '.join(variant.kept)} of the base")
    return variants, shares
