"""Configs that several threads read at once, as a comparison's trainings do."""

import gc
import sys
import threading

import pytest

from rdet.config import read_config
from rdet.config_files import CONFIGS
from rdet.parsing import PARSING, parsed


class Collected:
    """Has the garbage collector run Python, in which another thread may go on."""

    def __del__(self):
        sum(range(50))


@pytest.fixture
def collector():
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    yield
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_threads_parse_at_once(collector):
    text = (CONFIGS / "rtmdet/rtmdet_l_640_coco.py").read_text() * 4
    failed = []

    def parse():
        for _ in range(150):
            garbage = Collected()
            garbage.itself = garbage
            try:
                parsed(text)
            except SystemError as error:
                failed.append(str(error))

    in_threads(parse, 4)
    assert failed == []


def test_a_config_is_read_when_no_other_thread_parses():
    read = []
    path = CONFIGS / "retinanet/r50_fpn_1x_coco.py"
    thread = threading.Thread(target=lambda: read.append(read_config(path)))
    with PARSING:
        thread.start()
        thread.join(0.3)
        assert read == []
    thread.join()
    assert len(read) == 1


def in_threads(call, count):
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
