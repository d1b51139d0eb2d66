"""What one process does for all, between two processes on one machine."""

from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from rdet import processes
from rdet.engine.sampling import images_of
from rdet.errors import ConfigError, RdetError
from rdet.processes import check_all_have_the_same, each_does_its_share, first_process_does, host_group


def test_one_process_does_it_itself():
    assert first_process_does(lambda: 3) == 3
    with pytest.raises(ConfigError, match="no"):
        first_process_does(lambda: _fails())
    check_all_have_the_same(1, "images", "look")


def _fails():
    raise ConfigError("no")


def _squares(numbers):
    assert len(numbers) < 7  # no process does all
    return [number**2 for number in numbers]


def _of_two(rank, port, queue):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    calls = []

    def call():
        calls.append(rank)
        return {"weights": 7}

    said = []
    found = first_process_does(call)
    for step in (lambda: first_process_does(_fails), lambda: check_all_have_the_same((12, rank), "images", "look")):
        try:
            step()
        except RdetError as error:
            said.append(f"{type(error).__name__}: {error}")
    check_all_have_the_same((12, 5), "images", "look")
    # Of a share of the first process alone, which asks for nothing that the other does not.
    assert first_process_does(lambda: each_does_its_share(_squares, [2, 3], "numbers")) == [4, 9]
    assert each_does_its_share(_squares, [*range(7)], "numbers") == [n**2 for n in range(7)]
    assert each_does_its_share(_squares, [3], "numbers") == [9]
    for items in ([1, "2"], [1] * (rank + 1)):
        try:
            each_does_its_share(_squares, items, "numbers")
        except (RdetError, TypeError) as error:
            said.append(f"{type(error).__name__}: {error}")
    queue.put((rank, found, calls, said))
    dist.destroy_process_group()


def test_the_first_does_it_and_all_hear_of_it(free_port):
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    mp.start_processes(_of_two, (free_port, queue), nprocs=2, start_method="spawn")
    heard = sorted(queue.get() for _ in range(2))
    said = [
        "ConfigError: no",
        "RdetError: process 1 has other images than process 0: (12, 1), not (12, 0); look",
        "TypeError: unsupported operand type(s) for ** or pow(): 'str' and 'int'",
        "RdetError: process 1 has other numbers of numbers than process 0: 2, not 1; give all the same files",
    ]
    assert heard == [(0, {"weights": 7}, [0], said), (1, {"weights": 7}, [], said)]


def test_beside_gpus_the_host_waits_for_hours(monkeypatch):
    """NCCL ends a run in which one process scores for ten minutes while others wait."""
    made = []
    monkeypatch.setattr(dist, "get_backend", lambda: "nccl")
    monkeypatch.setattr(dist, "new_group", lambda **options: made.append(options) or "host")
    assert [host_group(), host_group()] == ["host", "host"]
    assert made == [{"backend": "gloo", "timeout": processes.PATIENCE}]
    assert timedelta(hours=1) <= processes.PATIENCE
    processes.forget_groups()
    assert host_group() == "host"
    assert len(made) == 2
    processes.forget_groups()


def test_images_that_were_left_out_are_known_by_a_checksum():
    class Images:
        def __init__(self, ids, on_bad_image="skip"):
            self.ids, self.on_bad_image = ids, on_bad_image

        def __len__(self):
            return len(self.ids)

        def get_data_info(self, index):
            return {"img_id": self.ids[index]}

    assert images_of(Images([1, 2])) == images_of(Images([1, 2])) != images_of(Images([1, 3]))
    assert images_of(Images([1, 2], "error")) == (2, 0)
