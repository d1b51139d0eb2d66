"""SAHI runs a detector of rdet in its own slices."""

import numpy as np
import pytest
from mmengine.config import Config

from rdet.errors import MissingModuleError

STEPS = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]


def test_without_sahi_there_is_one_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sahi.models.base", None)
    monkeypatch.delitem(sys.modules, "rdet.interop.sahi", raising=False)
    with pytest.raises(MissingModuleError, match=r"sahi cannot be imported \(.*\); pip install sahi"):
        import rdet.interop.sahi  # noqa: F401


@pytest.mark.parametrize("batch_size", [1, 3])
def test_sahi_finds_what_is_in_its_slices(batch_size):
    pytest.importorskip("sahi")
    import torch
    from mmengine.structures import InstanceData
    from sahi.predict import get_sliced_prediction

    from rdet.interop.sahi import RdetDetectionModel

    class Finder(torch.nn.Module):
        """Finds the one red box of a slice."""

        cfg = Config({"test_dataloader": {"dataset": {"pipeline": STEPS}}})
        classes = ("other", "red")

        def test_step(self, data):
            for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
                rows, columns = (image[2] > 200).nonzero(as_tuple=True)  # BGR: the last is red
                box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []
                boxes = torch.tensor(box, dtype=torch.float32).reshape(-1, 4)
                sample.pred_instances = InstanceData(
                    bboxes=boxes, scores=torch.full((len(boxes),), 0.9), labels=torch.ones(len(boxes)).long()
                )
            return data["data_samples"]

    image = np.zeros((90, 120, 3), np.uint8)
    image[40:50, 70:85] = (255, 0, 0)  # RGB
    model = RdetDetectionModel(model=Finder(), confidence_threshold=0.5, device="cpu")
    result = get_sliced_prediction(
        image, model, slice_height=50, slice_width=50, overlap_height_ratio=0.4, overlap_width_ratio=0.4, verbose=0,
        batch_size=batch_size,
    )  # fmt: skip
    (found,) = result.object_prediction_list
    assert [round(corner) for corner in found.bbox.to_xyxy()] == [70, 40, 85, 50]
    assert (found.category.id, found.category.name, model.num_categories) == (1, "red", 2)
