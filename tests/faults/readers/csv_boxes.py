"""Tables of boxes in csv."""

from pathlib import Path
from random import Random

from fuzz import Case, Reader
from odd import NUMBERS, damage, no_file
from PIL import Image

from rdet.datasets import CsvDataset

_HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
_CELLS = (
    "", " ", "a.png", "../a.png", "/etc/passwd", "x" * 300, "x" * 200_000, "cat", '"', '"a', 'a"b', "'", "1,5", "٣",
    "12", "-3", "=1+1", "\x1b[2J", "\r", "a\nb", *NUMBERS,
)  # fmt: skip


def case(rng: Random, folder: Path) -> Case:
    """A table of two images."""
    for stem in "ab":
        Image.new("RGB", (16, 12)).save(folder / f"{stem}.png")
    header = list(_HEADER)
    rows = [[f"{stem}.png", "16", "12", rng.choice(("cat", "dog")), "1", "2", "9", "8"] for stem in "aab"]
    table = folder / "boxes.csv"
    shown = kind = rng.choice(("cell", "cell", "cell", "column", "row", "damaged", "encoded", "quoted", "no file"))
    if kind == "cell":
        for _ in range(rng.choice((1, 1, 3))):
            rng.choice(rows)[rng.randrange(8)] = rng.choice(_CELLS)
    elif kind == "column":
        header[rng.randrange(8)] = rng.choice(("xmin", "Label", "", "x" * 500, "Filename ", "image"))
    elif kind == "row":
        rng.choice(rows).extend(["", "1"][: rng.choice((1, 2))]) if rng.random() < 0.5 else rng.choice(rows).pop()
    separator = rng.choice((",", ",", ";", "\t", "|"))
    text = "\n".join(separator.join(row) for row in [header, *rows])
    data = text.encode("utf-8", "surrogatepass")
    if kind == "damaged":
        data = damage(rng, data)
    elif kind == "encoded":
        data = text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp037", "cp1252")))
    elif kind == "quoted":
        data = text.replace("cat", rng.choice(('"cat', '"c""at"', '"c\nat"', "c\0t"))).encode()
    table.write_bytes(data)
    shown += f" {no_file(rng, table)}" if kind == "no file" else f" {data[:800]!r}"
    options = {
        "on_bad_image": rng.choice(("error", "skip")),
        "test_mode": rng.random() < 0.3,
        "one_based": rng.random() < 0.3,
        "metainfo": {"classes": ("cat", "dog")} if rng.random() < 0.3 else None,
    }

    def read() -> None:
        load = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]
        dataset = CsvDataset("boxes.csv", data_root=str(folder), pipeline=load, **options)
        for i in range(len(dataset)):
            dataset[i]
        dataset.coco_ground_truth()

    return Case(read, (str(folder),), f"{options} {shown}")


READERS = [Reader("csv", case, cases=60)]
