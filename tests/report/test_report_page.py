"""The page: what it holds, that names are only text, and that it is written whole or not at all."""

import json
import re
import sys
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from made_results import made_results, made_truth, write

import rdet.commands.report as command
from rdet.analysis.detections.evaluated import need_hotcoco
from rdet.errors import MissingModuleError, OutputError
from rdet.files import PART
from rdet.report import make
from rdet.report.pictures import LONGEST, picture

pytest.importorskip("hotcoco")


class Page(HTMLParser):
    """Scripts, ids, tags and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.scripts, self.events, self.addresses, self.words = [], 0, [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key.startswith("on"):
                self.events.append((tag, key))
            if key in ("src", "href", "xlink:href"):
                self.addresses.append(value)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def files(tmp_path):
    """Two results and their truth; image 0 is there, in a folder, and large."""
    truth = made_truth()
    truth["images"][1]["file_name"] = "<img src=x onerror=alert(2)>.png"
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.png"), np.full((480, 1280, 3), 90, np.uint8))
    return write(tmp_path, truth=truth, a=made_results(truth), b=made_results(truth, 1.0), none=[])


def rdet_report(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["rdet report", *map(str, words)])
    command.main()


@pytest.mark.parametrize("results", [["a"], ["a", "b"], ["none"]])
def test_a_page_is_one_file_without_addresses_and_names_are_text(results, files, tmp_path, monkeypatch, capsys):
    words = [files[name] for name in results]
    truth = ["--ann", files["truth"], "--images", tmp_path / "images", "--bootstrap", 5]
    rdet_report(monkeypatch, *words, *truth, "--json", tmp_path / "n.json")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.scripts == 1
    assert page.events == []
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "<script>alert(1)</script>" in "".join(page.words)  # as text
    assert "红细胞" in text
    assert "prefers-color-scheme: dark" in text
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", text)) - {"--v", "--c", "--t"}
    assert used <= set(re.findall(r"(--[a-z0-9]+):", text))
    numbers = json.loads((tmp_path / "n.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in numbers["models"]] == results
    for model in numbers["models"]:
        assert repr(model["metrics"]["AP"]) in text  # all digits are in the page
    assert ("comparison" in numbers) == (len(results) == 2)
    assert "report.html" in capsys.readouterr().out


def test_two_results_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / "x" / "d.bbox.json", tmp_path / "y" / "d.bbox.json", tmp_path / "e.json"]
    assert make.model_names(paths[:2]) == ["x/d", "y/d"]
    assert make.model_names(paths[1:]) == ["d", "e"]


def test_pictures_are_small_and_boxes_follow_them(files, tmp_path):
    found = picture(tmp_path / "images" / "0.png")
    assert (found.width, found.height, found.scale) == (LONGEST, 240, 0.5)
    assert len(found.data) < 10_000
    few_bytes = picture(tmp_path / "images" / "0.png", most_bytes=100)
    assert (few_bytes.width, few_bytes.height, few_bytes.scale) == (151, 57, 151 / 1280)
    missing = picture(tmp_path / "images" / "1.png", (320, 240))
    assert (missing.width, missing.height, missing.data) == (320, 240, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "a", "b"], "3 results files: give one, or two to compare"),
        (["a", "--names", "x", "y"], "2 --names for 1 results"),
        (["a", "--images", "."], "--images is the folder of --ann FILE.json"),
    ],
)
def test_wrong_options_are_said(words, said, files, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        rdet_report(monkeypatch, *(files.get(word, word) for word in words))
    assert said in capsys.readouterr().err


def test_results_that_say_no_truth_ask_for_it(files, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="1"):
        rdet_report(monkeypatch, files["a"])
    assert "what is it judged by? Give --ann FILE.json, or --config CONFIG" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        rdet_report(monkeypatch, files["a"], "nowhere.json")
    assert "no results at nowhere.json; give the path of what 'rdet test --out' wrote" in capsys.readouterr().err


def test_without_hotcoco_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingModuleError, match="pip install 'hotcoco>=1.3'"):
        need_hotcoco()


def test_a_page_that_cannot_be_finished_leaves_the_old_one(files, tmp_path, monkeypatch):
    out = tmp_path / "page.html"
    out.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match=r"page.html.*No space left"):
        make.make_report([files["a"]], make.find_truth([files["a"]], files["truth"]), out)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(f"*{PART}"))
