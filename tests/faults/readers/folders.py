"""Folders of data of every layout, with a fault in any of their files: looked at, read and converted."""

import sys
from pathlib import Path
from random import Random

from fuzz import Case, Reader
from odd import damage, no_file

sys.path.append(str(Path(__file__).parents[2] / "datasets"))

from test_folders import LAYOUTS

from rdet.datasets.folders import look_at
from rdet.datasets.writers import TARGETS, convert_data


def case(rng: Random, folder: Path) -> Case:
    """One file of a folder is damaged, replaced or gone."""
    root = folder / "data"
    root.mkdir()
    layout = rng.choice(LAYOUTS)[0]
    layout(root)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    touched = rng.choice([path for path in files if path.suffix != ".png"] * 5 + files)
    shown = f"{layout.__name__} {touched.relative_to(root)}"
    if rng.random() < 0.3:
        shown += f" {no_file(rng, touched)}"
    else:
        touched.write_bytes(damage(rng, touched.read_bytes()))
        shown += f" {touched.read_bytes()[:1000]!r}"
    target = rng.choice(TARGETS)

    def read() -> None:
        found = look_at(str(root))
        found.describe(dict.fromkeys(found.splits, 0))
        convert_data(found, folder / "out", target)

    return Case(read, (), f"{target} {shown}")


READERS = [Reader("data folders", case, cases=40)]
