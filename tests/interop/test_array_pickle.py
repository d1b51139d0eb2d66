"""Pickles of arrays are read; what could run code is refused by name."""

import os
import pickle
import re

import numpy as np
import pytest

from rdet.errors import CheckpointError, MissingFileError
from rdet.interop.array_pickle import read_array_pickle


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values(tmp_path, protocol):
    content = {
        "model": {
            "a": np.arange(6, dtype=np.float32).reshape(2, 3),
            "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
            "c": np.array(7),
            "empty": np.zeros((0, 4), np.float16),
        },
        "numbers": [1, 2.5, True, None, np.float64(3.5), np.int64(-4)],
        "others": ("text", b"\xff\x00", (), {}),
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_array_pickle(path)
    for name, array in content["model"].items():
        assert found["model"][name].dtype == array.dtype
        np.testing.assert_array_equal(found["model"][name], array)
    assert found["numbers"] == content["numbers"]
    assert found["others"] == content["others"]


def test_a_pickle_of_python_2(tmp_path):
    # {'model': {'w': numpy.array([1, 2], '<f4')}} as Python 2 and protocol 2 write it: bytes where 3 has text
    data = (
        b"\x80\x02}U\x05model}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80?\x00\x00\x00@tbss."
    )
    (tmp_path / "a.pkl").write_bytes(data)
    assert read_array_pickle(tmp_path / "a.pkl")["model"]["w"].tolist() == [1, 2]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, protocol):
    created, path = tmp_path / "created", tmp_path / "evil.pkl"
    data = pickle.dumps({"model": {"w": Hostile(created)}}, protocol=protocol)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=re.escape(f"{path} cannot be read (it holds {os.name}.system, which is")):
        read_array_pickle(path)
    assert not created.exists()
    pickle.loads(data)  # it is no blank shot
    assert created.exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [(np.load, "numpy.load"), (eval, "builtins.eval"), (slice(1), "builtins.slice")],
)
def test_other_names_are_refused(tmp_path, value, name):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": value}, protocol=4))
    with pytest.raises(CheckpointError, match=f"it holds {name}, which is no data"):
        read_array_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps({"a": np.zeros(3)})[:-20]], ids=["empty", "text", "cut"])
def test_a_damaged_file_is_one_error(tmp_path, data):
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.pkl cannot be read \(it is no pickle of arrays: \w+\)"):
        read_array_pickle(tmp_path / "a.pkl")


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"no checkpoint at .*a\.pkl"):
        read_array_pickle(tmp_path / "a.pkl")


def test_a_pickle_of_more_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": np.broadcast_to(np.float32(0), (10,))}))
    read_array_pickle(path)
    lists = b"](]q\x01" + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(1, 20)) + b"e."
    path.write_bytes(b"\x80\x02" + lists)
    with pytest.raises(
        CheckpointError, match=r"a.pkl cannot be read \(.* has more than 10000000 values\); take another$"
    ):
        read_array_pickle(path)
