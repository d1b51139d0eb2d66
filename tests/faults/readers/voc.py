"""Pascal VOC lists and xml files."""

import re
from pathlib import Path
from random import Random

from fuzz import Case, Reader
from odd import NUMBERS, damage, no_file
from PIL import Image

from rdet.datasets import VocDataset

_OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
    "<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
)
_XML = (
    "<annotation><folder>f</folder><filename>{stem}.png</filename><size><width>16</width><height>12</height>"
    "<depth>3</depth></size>{objects}</annotation>"
)
_BOMBS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "x">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1 or str()};" * 10}">' for i in range(1, 12))
    + "]><annotation>&a11;</annotation>",
    '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation><filename>&a;</filename></annotation>',
    '<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><annotation/>',
    "<a>" * 100_000,
    "<a>" * 100_000 + "</a>" * 100_000,
    "<annotation " + "".join(f'a{i}="1" ' for i in range(10_000)) + "/>",
)
_TEXTS = ("", " ", "true", "False", "yes", "2", "maybe", "Unspecified", "x\ny", "&amp;", "&#x1b;", "1,5", "٣", *NUMBERS)


def _xml(rng: Random, stem: str) -> str:
    objects = "".join(
        _OBJECT.format(name=rng.choice(("cat", "dog")), difficult=rng.randrange(2), box=(1, 2, 9, 8)) for _ in range(2)
    )
    return _XML.format(stem=stem, objects=objects)


def _changed(rng: Random, text: str) -> str:
    """Change, remove, empty or repeat one element, or its text."""
    found = [(match.start(), match[1]) for match in re.finditer(r"<(\w+)>(?=.*</\1>)", text, re.DOTALL)]
    if not found:
        return text
    begin, tag = rng.choice(found)
    end = text.index(f"</{tag}>", begin) + len(tag) + 3
    element = text[begin:end]
    inner = rng.choice(_TEXTS)
    other = rng.choice(
        (
            "",
            f"<{tag}/>",
            element * 2,
            f"<{tag}>{inner}</{tag}>",
            f"<{tag}>{inner}</{tag}>",
            f"<{tag}>{inner}</{tag}>",
            f"<!-- {tag} -->",
            f"<{tag}>{element}</{tag}>",
            f"<x:{tag}>1</x:{tag}>",
        )
    )
    return text[:begin] + other + text[end:]


def case(rng: Random, folder: Path) -> Case:
    """A split of two images."""
    for name in ("Annotations", "JPEGImages", "ImageSets"):
        (folder / name).mkdir()
    for stem in "ab":
        (folder / f"Annotations/{stem}.xml").write_text(_xml(rng, stem))
        Image.new("RGB", (16, 12)).save(folder / f"JPEGImages/{stem}.png")
    one, split = folder / "Annotations/a.xml", folder / "ImageSets/train.txt"
    split.write_text("a\nb\n")
    shown = kind = rng.choice(
        ("changed", "changed", "changed", "damaged", "bomb", "encoded", "list", "list", "no file")
    )
    if kind == "changed":
        text = one.read_text()
        for _ in range(rng.choice((1, 1, 2))):
            text = _changed(rng, text)
        one.write_text(text)
    elif kind == "damaged":
        one.write_bytes(damage(rng, one.read_bytes()))
    elif kind == "bomb":
        one.write_text(rng.choice(_BOMBS))
    elif kind == "encoded":
        name = rng.choice(("utf-16", "latin-1", "utf-8-sig", "shift_jis", "cp037", "utf-7"))
        label = rng.choice((name, "none", "idna", "zip", "punycode"))
        one.write_bytes(f'<?xml version="1.0" encoding="{label}"?>{one.read_text()}'.encode(name))
    elif kind == "list":
        names = ("../a", "../../a", "/etc/passwd", "a", "", "a.xml", "a\0", "x" * 300, "x/" * 200, "\udc80", "A", "./a")
        text = "\n".join(rng.choices((*names, "b"), k=3))
        split.write_bytes(damage(rng, b"a\nb\n") if rng.random() < 0.3 else text.encode("utf-8", "surrogateescape"))
        shown += f" {split.read_bytes()[:500]!r}"
    else:
        shown += f" {no_file(rng, rng.choice((one, split, folder / 'JPEGImages/a.png')))}"
    if one.is_file() and kind != "no file":
        shown += f" {one.read_bytes()[:1000]!r}"
    options = {
        "on_bad_image": rng.choice(("error", "skip")),
        "test_mode": rng.random() < 0.3,
        "one_based": rng.random() < 0.5,
        "metainfo": {"classes": ("cat", "dog")} if rng.random() < 0.3 else None,
    }

    def read() -> None:
        load = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]
        dataset = VocDataset("ImageSets/train.txt", data_root=str(folder), pipeline=load, **options)
        for i in range(len(dataset)):
            dataset[i]
        dataset.coco_ground_truth()

    return Case(read, (str(folder),), f"{options} {shown}")


READERS = [Reader("voc", case, cases=60)]
