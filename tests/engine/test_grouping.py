"""A run whose batches have images of one orientation."""

from pathlib import Path

import pytest
import torch

from rdet.checkpoint import read_checkpoint
from rdet.errors import CheckpointError, ConfigError

ON = {"train_dataloader__aspect_ratio_grouping": True}


def test_a_run_groups_and_goes_on_as_it_began(make_runner):
    first = make_runner(**ON, train_cfg__max_iters=1)
    first.train()
    stream = first.train_dataloader.batch_sampler
    dataset = first.train_dataloader.dataset.dataset
    assert stream.together == stream.batch_size > 1
    sizes = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert stream.groups.tolist() == [size["height"] > size["width"] for size in sizes]
    written = f"{first.work_dir}/iter_1.pth"
    assert read_checkpoint(written)["meta"]["data_order"]["number of images of one orientation together"] == 2

    later = make_runner(**ON, train_cfg__max_iters=2, train_dataloader__batch_size=1, resume=True, load_from=written)
    with pytest.raises(CheckpointError, match="its total batch size is 2, now it is 1"):
        later.train()
    without = make_runner(train_cfg__max_iters=2, resume=True, load_from=written)
    with pytest.raises(CheckpointError, match="together is 2, now it is 1, .* set .*aspect_ratio_grouping=True"):
        without.train()


@pytest.mark.parametrize("together", [3, 2**62, -1, 0])
def test_a_number_of_images_that_no_run_began_with(make_runner, together):
    first = make_runner(**ON, train_cfg__max_iters=1)
    first.train()
    written = f"{first.work_dir}/iter_1.pth"
    content = torch.load(written, weights_only=False)
    content["meta"]["data_order"]["number of images of one orientation together"] = together
    torch.save(content, written)
    later = make_runner(**ON, train_cfg__max_iters=2, resume=True, load_from=written)
    with pytest.raises(CheckpointError, match=f"orientation together is {together}, now it is 2, .*; set train_da"):
        later.train()


def test_a_run_that_began_without_groups_goes_on_without(make_runner):
    first = make_runner(train_cfg__max_iters=1)
    first.train()
    later = make_runner(**ON, train_cfg__max_iters=2, resume=True, load_from=f"{first.work_dir}/iter_1.pth")
    later.train()
    assert later.train_dataloader.batch_sampler.together == 1
    (written,) = Path(later.log_dir).glob("*.log")
    assert "keys differ" not in written.read_text()


def test_images_to_evaluate_are_not_grouped(make_runner):
    with pytest.raises(ConfigError, match="aspect_ratio_grouping is of train_dataloader: .* leave it out"):
        make_runner("test", val_dataloader__aspect_ratio_grouping=True).test()
