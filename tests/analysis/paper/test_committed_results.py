"""The page of results and the figures in docs/ are made from docs/results/paper.json as it is, by the code as it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from rdet.analysis.paper.figures import write_figures
from rdet.analysis.paper.report import report
from rdet.analysis.paper.rows import ROWS
from rdet.analysis.paper.suite import Results, Suite

ROOT = Path(__file__).resolve().parents[3]
FIGURES = ROOT / "docs/figures"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    return Suite(ROOT / "configs/paper", tmp_path, Results(Path("docs/results/paper.json")))


def test_page_of_results(suite):
    page = (ROOT / "docs/paper_results.md").read_text("utf-8")
    command = page.split("\n    ")[1].split("\n")[0]
    assert command == (
        "python tools/paper.py report --results docs/results/paper.json --figures docs/figures "
        "--out docs/paper_results.md"
    )
    assert report(suite, ROWS, FIGURES / "figure_4.json", command) == page


def test_figures(suite, tmp_path):
    out = tmp_path / "figures"
    out.mkdir()
    (out / "figure_4.json").write_text((FIGURES / "figure_4.json").read_text())
    write_figures(suite, out, checkpoint=None, data_root=tmp_path)
    committed = sorted(path.name for path in FIGURES.iterdir())
    assert sorted(path.name for path in out.iterdir()) == committed
    assert len(committed) == 2 * 6
    for path in out.glob("*.json"):
        found, expected = numbers(json.loads(path.read_text())), numbers(json.loads((FIGURES / path.name).read_text()))
        assert found.keys() == expected.keys()
        for key in found:
            if isinstance(found[key], str):
                assert found[key] == expected[key]
            else:
                message = f"{path.name}: {key}"
                np.testing.assert_allclose(found[key], expected[key], rtol=1e-6, atol=1e-9, err_msg=message)


def test_without_a_model_or_numbers_figure_4_is_missed(suite, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run 'tools/paper.py run table_1b/gamma_2' first"):
        write_figures(suite, tmp_path / "figures", checkpoint=None, data_root=tmp_path)
    assert (tmp_path / "figures/figure_7.png").exists()


def numbers(tree: dict, path: str = "") -> dict[str, list]:
    """Leaves of a nested dict by their path."""
    leaves = {}
    for key, value in tree.items():
        leaves |= numbers(value, f"{path}/{key}") if isinstance(value, dict) else {f"{path}/{key}": value}
    return leaves
