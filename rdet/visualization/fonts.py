"""Fonts that have the letters of a text, whatever its script."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from mmengine.logging import print_log
from PIL import ImageFont

from rdet.messages import few

# Parts of the names of font files, the ones to take first where several have a letter.
_PREFERRED = (
    *(
        "notosanscjk",
        "notosanssc",
        "notosansjp",
        "notosanskr",
        "notosanstc",
        "sourcehansans",
        "wqy-microhei",
        "wqy-zenhei",
    ),
    *("msyh", "pingfang", "hiragino", "yugoth", "meiryo", "malgun", "applesdgothic", "droidsansfallback", "notosans-"),
    *("notosans", "arialunicode", "freesans", "symbola"),
)
_FORMATS = (".ttf", ".ttc", ".otf", ".otc")
# What a missing letter is called in Unicode, and the Debian package that has it.
_PACKAGES = {("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"): "fonts-noto-cjk"}
_OTHER_PACKAGE = "fonts-noto-core"
_warned: list[str] = []  # once in a process
_elsewhere: ContextVar[bool] = ContextVar("elsewhere", default=False)


def runs(text: str) -> Iterator[tuple[str, str]]:
    """Split a text into pieces that one font has: (piece, path of the font).

    A letter that no font has is escaped (``\\u7ec6``); :func:`writable_names` has a shorter word for names of classes.
    """
    piece, font = "", ""
    for letter in text:
        path = font if font and letter in _letters(font) else font_with(letter)
        if path is None:
            path, letter = _plain(), letter.encode("unicode_escape").decode()
        if path != font and piece:
            yield piece, font
            piece = ""
        piece, font = piece + letter, path
    if piece:
        yield piece, font


def writable_names(names: Iterable[str]) -> list[str]:
    """Return names as they can be written; the one of label 3 is ``#3`` where no font has its letters.

    What can be written of a name stays before that. The first time, what to install is said.
    """
    names = [" ".join(str(name).split()) or f"#{label}" for label, name in enumerate(names)]
    shown = [name if (kept := _kept(name)) == name else f"{kept} #{i}".strip() for i, name in enumerate(names)]
    wrong = [f"{name} as {other}" for name, other in zip(names, shown, strict=True) if name != other]
    if wrong:
        packages = sorted({_package(letter) for name in names for letter in name if font_with(letter) is None})
        _warn_once(
            f"no installed font has the letters of some names, which are written {few(wrong, 3)}", " ".join(packages)
        )
    return shown


def families_for(texts: Iterable[str]) -> list[str]:
    """Return families of matplotlib that together have all letters of texts, as far as they are installed.

    The first time that letters are lacking, which plots show as boxes, what to install is said.
    """
    families, lacking = ["DejaVu Sans"], []
    for letter in sorted({letter for text in texts for letter in text if letter.isprintable()}):
        path = font_with(letter)
        if path is None:
            lacking.append(letter)
        elif path != _plain() and (family := _family(path)) not in families:
            families.append(family)
    if lacking and not _elsewhere.get():
        packages = sorted({_package(letter) for letter in lacking})
        letters = "".join(lacking[:20])
        _warn_once(f"no installed font has {letters!r}, which plots show as boxes", " ".join(packages))
    return families


@contextmanager
def drawn_elsewhere() -> Iterator[None]:
    """Warn of no letters: what is made here is drawn with the fonts of whoever looks at it."""
    token = _elsewhere.set(True)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font at a size in pixels."""
    return _open(path, size)


@cache
def font_with(letter: str) -> str | None:
    """Return the path of a font that has a letter; None: none that is installed."""
    if letter in _letters(_plain()):
        return _plain()
    return next((path for path in _installed() if letter in _letters(path)), None)


def _kept(name: str) -> str:
    return " ".join("".join(letter if font_with(letter) else " " for letter in name).split())


def _warn_once(what: str, package: str) -> None:
    if _warned:
        return
    _warned.append(package)
    message = f"{what}; install fonts, on Debian and Ubuntu: apt install {package}"
    print_log(message, "current", logging.WARNING)


def _package(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((package for words, package in _PACKAGES.items() if name.startswith(words)), _OTHER_PACKAGE)


@cache
def _open(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def _plain() -> str:
    """Return the path of DejaVu Sans, which comes with matplotlib and has Latin, Greek, Cyrillic, Hebrew and more."""
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@cache
def _letters(path: str) -> frozenset[str]:
    """Return the letters that a font has; none of a file that is no font."""
    try:
        codes = FT2Font(path).get_charmap()
    except (RuntimeError, OSError, ValueError):
        return frozenset()
    return frozenset(map(chr, codes))


@cache
def _family(path: str) -> str:
    """Return the family of a font's file, which matplotlib knows from then on."""
    known = next((entry.name for entry in font_manager.fontManager.ttflist if entry.fname == path), None)
    if known is None:
        font_manager.fontManager.addfont(path)
        known = str(FT2Font(path).family_name)
    return known


@cache
def _installed() -> tuple[str, ...]:
    """List the fonts of the system, those to take first before the others."""
    paths = sorted(path for path in font_manager.findSystemFonts() if path.lower().endswith(_FORMATS))

    def rank(path: str) -> tuple[int, bool, str]:
        name = Path(path).name.lower().replace(" ", "")
        place = next((i for i, part in enumerate(_PREFERRED) if part in name), len(_PREFERRED))
        return place, "regular" not in name and any(word in name for word in ("bold", "italic", "oblique")), path

    return tuple(sorted(paths, key=rank))
