"""How many boxes each class has, and which classes are probably mistakes."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from mmengine.dataset import BaseDataset
from terminaltables import AsciiTable

from rdet.datasets.summary import classes_of, load_report
from rdet.messages import few, printable

_MOST_ROWS = 12
_RARE = 50  # a class with so many times fewer boxes than the mean may be a misspelt name
_ALIKE = 0.8  # of difflib's ratio


def class_table(datasets: Mapping[str, BaseDataset]) -> str:
    """Tabulate how many boxes each class has in each split; of many classes, those with the fewest.

    Args:
        datasets: Name of each split -> its data set; all have the same classes.
    """
    counts = {split: counts_by_class(dataset) for split, dataset in datasets.items()}
    first, *_ = counts.values()
    names = list(first)
    title = ["class", *counts]
    if len(names) > _MOST_ROWS:
        names = sorted(names, key=first.__getitem__)[:_MOST_ROWS]
        title[0] = f"class ({_MOST_ROWS} of {len(first)}, those with the fewest boxes)"
    rows = [[printable(name), *(str(of_split[name]) for of_split in counts.values())] for name in names]
    return AsciiTable([title, *rows]).table


def doubtful_classes(datasets: Mapping[str, BaseDataset]) -> Iterator[str]:
    """Say which classes look alike, and which have no box: a name that is misspelt once makes a class of its own.

    Args:
        datasets: Name of each split -> its data set; all have the same classes. The first is looked at for names.
    """
    counts = {split: counts_by_class(dataset) for split, dataset in datasets.items()}
    first, *_ = counts.values()
    for rare, common in _alike(first):
        yield (
            f"the classes {rare!r} ({first[rare]} boxes) and {common!r} ({first[common]}) look alike; if they are one, "
            f"set rename_classes={{{rare!r}: {common!r}}} on the data sets"
        )
    for split, of_split in counts.items():
        lacking = [name for name, count in of_split.items() if not count]
        if lacking and len(lacking) < len(of_split):
            what = "cannot be learnt" if split == "train" else "have no AP and count in no mean"
            yield f"{split} has no box of {few(lacking)}; such classes {what}"


def counts_by_class(dataset: BaseDataset) -> dict[str, int]:
    """Return how many boxes each class has, in the order of the labels."""
    by_class = load_report(dataset).by_class
    return {name: by_class[label] if label < len(by_class) else 0 for label, name in enumerate(classes_of(dataset))}


def _alike(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names that one hand would write for one thing, the one with fewer boxes first."""
    bare = {name: _bare(name) for name in counts}
    most = max(1, sum(counts.values()) // (_RARE * len(counts)))
    names = sorted(counts, key=counts.__getitem__)
    for place, rare in enumerate(names):
        for common in names[place + 1 :]:
            is_rare = counts[rare] <= most and counts[rare] < counts[common]
            if bare[rare] == bare[common] or (is_rare and _is_near(bare[rare], bare[common])):
                yield rare, common


def _is_near(name: str, other: str) -> bool:
    if abs(len(name) - len(other)) > 2 or re.sub(r"\D", "", name) != re.sub(r"\D", "", other):
        return False  # "part 1" and "part 2" are two
    return SequenceMatcher(None, name, other).ratio() >= _ALIKE


def _bare(name: str) -> str:
    """Return a name without what hands write differently: case, spaces, hyphens, a plural."""
    return re.sub(r"[\W_]+", "", name.casefold()).removesuffix("s") or name
