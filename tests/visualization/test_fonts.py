"""Text of any script is written, or what stands for it is said once."""

from pathlib import Path

import numpy as np
import pytest

from rdet.visualization import fonts
from rdet.visualization.draw import draw_boxes
from rdet.visualization.texts import plate, shortened, strip, text_extent

DEJAVU = fonts._plain()


@pytest.fixture
def said(monkeypatch):
    """A machine that has no font but matplotlib's; what is warned of."""
    messages: list[str] = []
    monkeypatch.setattr(fonts, "print_log", lambda message, *_: messages.append(message))
    monkeypatch.setattr(fonts, "_installed", lambda: ())
    monkeypatch.setattr(fonts, "_warned", [])
    fonts.font_with.cache_clear()
    yield messages
    fonts.font_with.cache_clear()


def test_scripts_that_matplotlib_has(said):
    names = ["cell", "клетка", "κύτταρο", "größe", "ячейка №3"]
    assert fonts.writable_names(names) == names
    assert [path for _, path in fonts.runs("клетка 0.93")] == [DEJAVU]
    assert said == []


def test_letters_that_no_font_has_are_said_once_and_never_drawn_as_boxes(said):
    names = ["cell", "细胞", "WBC 白血球", "細胞"]
    assert fonts.writable_names(names) == ["cell", "#1", "WBC #2", "#3"]
    assert fonts.writable_names(names) == ["cell", "#1", "WBC #2", "#3"]
    assert len(said) == 1
    assert "细胞 as #1" in said[0]
    assert said[0].endswith("apt install fonts-noto-cjk")
    assert "".join(piece for piece, _ in fonts.runs("a细.png")) == r"a\u7ec6.png"


def test_another_font_is_taken_for_the_letters_that_it_has(said, monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: ("no_font.ttf", "cjk.ttf"))
    monkeypatch.setattr(fonts, "_letters", lambda path: set({"cjk.ttf": "细胞 0.93", DEJAVU: "cel 0.93"}.get(path, "")))
    assert list(fonts.runs("cell 细胞 0.93")) == [("cell ", DEJAVU), ("细胞 0.93", "cjk.ttf")]
    assert fonts.writable_names(["细胞"]) == ["细胞"]
    assert said == []


def test_plots_take_the_same_font_as_pictures(monkeypatch):
    path = str(Path(DEJAVU).with_name("STIXGeneral.ttf"))  # any other that is installed with matplotlib
    monkeypatch.setattr(fonts, "font_with", lambda letter: path if letter == "细" else DEJAVU)
    assert fonts.families_for(["cell", "a细"]) == ["DejaVu Sans", "STIXGeneral"]


def test_names_of_nothing_or_of_several_lines(said):
    assert fonts.writable_names(["", "a\nb", "  c "]) == ["#0", "a b", "c"]


def test_text_is_as_large_as_it_says():
    for text in ("cell 0.93", "клетка", ""):
        width, height = text_extent(text, 20)
        assert plate(text, 20).shape == (height, width, 3)
    assert text_extent("cell", 40)[1] > 1.9 * text_extent("cell", 20)[1]
    short = shortened("a very long name of a class", 20, 100)
    assert short.endswith("…")
    assert text_extent(short, 20)[0] <= 100
    short = shortened("a very long name of a class 0.93", 20, 160)
    assert short.endswith("… 0.93")
    assert text_extent(short, 20)[0] <= 160
    assert shortened("a very long name 0.93", 20, 10) == ""
    assert strip("several words that take several lines", 80, 12).shape[0] > 3 * 12


def test_a_picture_with_names_of_other_scripts(said):
    image = np.full((200, 300, 3), 90, np.uint8)
    out = draw_boxes(image, [[50, 60, 150, 160]], [0], ["клетка"])
    other = draw_boxes(image, [[50, 60, 150, 160]], [0], ["келтка"])
    assert (out != other).any()  # letters, not one box for each
