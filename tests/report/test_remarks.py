"""What a report says in sentences."""

import pytest
from made_results import made_results, made_truth, write

from rdet.analysis.detections.diagnosis import diagnose
from rdet.analysis.detections.evaluated import Evaluated
from rdet.analysis.detections.results import read_detections
from rdet.analysis.detections.truth import Truth
from rdet.report.remarks import remarks


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_scores_that_were_left_out_are_said(least, tmp_path):
    """As of what ``rdet infer`` writes, with its threshold."""
    truth = Truth(made_truth(), {}, "truth.json")
    results = made_results(truth.content)
    for row in results:
        row["score"] = least + (1 - least) * row["score"]
    results[0]["score"] = least
    model = diagnose(Evaluated("a", truth, read_detections(write(tmp_path, r=results)["r"], truth)))
    said = [text for text in remarks(model) if text.startswith("No detection has a score below 0.30: what scores less")]
    assert len(said) == (least > 0)
