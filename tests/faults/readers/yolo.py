"""YOLO's data.yaml, lists of images, names and label files."""

from pathlib import Path
from random import Random

from fuzz import Case, Reader
from odd import NUMBERS, damage, no_file
from PIL import Image

from rdet.datasets import YoloDataset

_YAMLS = (
    "names: [cat",
    "names: {0: cat, 0: dog}",
    "names: {0: cat, 2: dog}",
    "names: &a [*a, cat]\ntrain: images",
    "names: cat\ntrain: images",
    "names: [cat, dog]\nnc: 3\ntrain: images",
    "names: [cat, no]\nnc: 2\ntrain: ../../../etc",
    "names: [cat, dog]\ntrain: /etc",
    "names: [cat, dog]\ntrain: [images, [1]]",
    "names: !!python/object/apply:os.system ['touch ran']\ntrain: images",
    "? [a, b]\n: c\nnames: [cat, dog]",
    "a: &a [x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [*{p}, *{p}, *{p}, *{p}, *{p}, *{p}]\n" for i, p in
    enumerate(["a", *(f"a{i}" for i in range(9))])) + "names: *a9",
    "names: " + "[" * 50_000,
    "path: /not/there\ntrain: images\nnames: [cat, dog]",
    "path: [1]\ntrain: images\nnames: [cat, dog]",
    "train: images\nnames: ['', ' ']",
    "train: images\nnames: [\"\\ud800\"]",
)  # fmt: skip
_WORDS = ("0", "1", "0.5", "2", "-1", "1.0", "cat", "0,5", "1e-9", "٣", "", "0x1", *NUMBERS)


def _line(rng: Random) -> str:
    if rng.random() < 0.5:
        return "0 0.5 0.5 0.2 0.3"
    return " ".join(rng.choice(_WORDS) for _ in range(rng.choice((5, 5, 5, 1, 4, 6, 7, 8, 9))))


def case(rng: Random, folder: Path) -> Case:
    """A split of two images, named by a yaml file, a list or their folder."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for stem in "ab":
        Image.new("RGB", (16, 12)).save(folder / f"images/{stem}.png")
        (folder / f"labels/{stem}.txt").write_text("1 0.5 0.5 0.25 0.25\n0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    yaml, split, one = folder / "data.yaml", folder / "train.txt", folder / "labels/a.txt"
    yaml.write_text("train: images\nnc: 2\nnames: [cat, dog]\n")
    split.write_text("images/a.png\nimages/b.png\n")
    ann_file = rng.choice(("data.yaml", "train.txt", "images", ""))
    shown = kind = rng.choice(("labels", "labels", "yaml", "list", "damaged", "encoded", "no file", "image"))
    touched = one
    if kind == "labels":
        one.write_text("\n".join(_line(rng) for _ in range(rng.choice((0, 1, 1, 3)))), errors="surrogatepass")
    elif kind == "yaml":
        touched = yaml
        yaml.write_text(rng.choice(_YAMLS))
    elif kind == "list":
        touched, ann_file = split, "train.txt"
        names = ("../a.png", "/etc/passwd", "images/a.png", "", "a\0", "x" * 5000, "x/" * 900, "images\\b.png", "./a")
        split.write_text("\n".join(rng.choices(names, k=3)))
    elif kind == "damaged":
        touched = rng.choice((yaml, split, one))
        touched.write_bytes(damage(rng, touched.read_bytes()))
    elif kind == "encoded":
        touched = rng.choice((yaml, split, one))
        touched.write_bytes(touched.read_text().encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp037"))))
    elif kind == "image":
        image = folder / "images/a.png"
        image.write_bytes(damage(rng, image.read_bytes()))
    else:
        touched = rng.choice((yaml, split, one, folder / "images/a.png"))
        shown += f" {touched.name} {no_file(rng, touched)}"
    if touched.is_file() and kind != "no file":
        shown += f" {touched.name} {touched.read_bytes()[:500]!r}"
    options = {
        "on_bad_image": rng.choice(("error", "skip")),
        "test_mode": rng.random() < 0.5,
        "split": rng.choice(("train", "train", "val")) if ann_file == "data.yaml" else None,
        "ignore_classes": ("dog",) if rng.random() < 0.2 else (),
    }

    def read() -> None:
        load = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]
        dataset = YoloDataset(ann_file, data_root=str(folder), pipeline=load, **options)
        for i in range(len(dataset)):
            dataset[i]
        dataset.coco_ground_truth()

    return Case(read, (str(folder),), f"{ann_file!r} {options} {shown}")


READERS = [Reader("yolo", case, cases=60)]
