import torch

from rdet.analysis import cost
from rdet.analysis.cost import measure_costs
from rdet.apis.build import build_detector
from rdet.config import load_config


def test_costs(config):
    wide = {"model.bbox_head.stacked_convs": 2}
    costs = measure_costs({"tiny": load_config(config), "wide": load_config(config, wide)}, rounds=1)
    added = 2 * (16 * 16 * 9 + 16)  # one convolution in each tower
    assert costs["wide"].parameters - costs["tiny"].parameters == added
    model = build_detector(load_config(config), ("a", "b"))
    assert costs["tiny"].parameters == sum(p.numel() for p in model.parameters())
    # Two operations for each weight but the bias, at each cell of the levels of a 64-pixel image.
    cells = sum(h * w for h, w in model(torch.zeros(1, 3, 64, 64)).level_sizes)
    assert costs["wide"].flops - costs["tiny"].flops == 2 * 2 * 16 * 16 * 9 * cells
    assert all(cost.step_ms > cost.latency_ms / 100 > 0 for cost in costs.values())


def test_the_same_images_for_every_detector(config, monkeypatch):
    """Random flips and colours, too: the pipeline of the tiny config has both."""
    batches = []

    class Spy(cost._Subject):
        def __init__(self, *args):
            super().__init__(*args)
            batches.append(torch.stack(self.batch["inputs"]))

    monkeypatch.setattr(cost, "_Subject", Spy)
    measure_costs({"a": load_config(config), "b": load_config(config)}, rounds=1)
    assert torch.equal(*batches)
