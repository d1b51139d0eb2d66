"""What inputs stand for, and what their results are called."""

import pytest

from rdet.apis.infer.names import Names, name_of_address
from rdet.apis.infer.run import check_out_dir
from rdet.apis.infer.sources import find_sources
from rdet.errors import ConfigError, MissingFileError


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("x/a.jpg", "x/y/a.png", "x/y/film.MP4", "x/note.md", "b.jpg", "c[1].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["b.jpg"], ["b.jpg"]),
        (["x"], ["a.jpg", "y/a.png", "y/film.MP4"]),
        (["x", "x/a.jpg"], ["a.jpg", "y/a.png", "y/film.MP4", "a_2.jpg"]),
        (["x/*.jpg"], ["a.jpg"]),
        (["x/**/*.*"], ["a.jpg", "y/a.png", "y/film.MP4"]),
        (["x/*.md"], ["note.md"]),
        (["c[1].jpg"], ["c[1].jpg"]),  # a file of that name goes before the pattern
        (["http://a.b/c/d.jpg?size=9", "https://a.b/"], ["d.jpg", "a.b"]),
        (["0", "rtsp://cam/live"], ["camera_0", "live"]),
        (["@list.txt"], ["a.jpg", "a.png", "d.jpg", "b.jpg", "gone.png"]),
    ],
)
def test_what_inputs_stand_for(place, inputs, names):
    (place / "list.txt").write_text("# mine\nx/a.jpg\n\nx/y/*.png\nhttp://a.b/d.jpg\r\n  b.jpg\ngone.png\n")
    found = find_sources(inputs)
    expected = ["x/a.jpg", "a.png", "d.jpg", "b.jpg", "gone.png"] if inputs == ["@list.txt"] else names
    assert [source.name for source in found] == expected


def test_which_are_videos_and_which_live(place):
    found = find_sources(["x/y/film.MP4", "http://a.b/film.mp4?x=1", "2", "rtsp://cam/live", "b.jpg"])
    assert [(source.is_video, source.is_live) for source in found] == [
        (True, False),
        (True, False),
        (True, True),
        (True, True),
        (False, False),
    ]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("none.jpg", MissingFileError, "no image or folder at none.jpg; give another path"),
        ("x/*.gif", MissingFileError, r"nothing matches x/\*.gif; correct the pattern"),
        ("@none.txt", MissingFileError, "no list of images at none.txt; give another path after @"),
        ("@empty.txt", MissingFileError, "empty.txt lists no image; write one path"),
        ("@bytes.txt", ConfigError, "bytes.txt is no text in UTF-8"),
        ("@x", ConfigError, r"cannot read the list x \(it is a folder\)"),
        ("@zero.txt", ConfigError, r"zero.txt, line 1: a\\x00b is the name of no file"),
        ("@glob.txt", MissingFileError, r"glob.txt, line 2: nothing matches .*x/\*.gif; correct the pattern"),
        ("empty.txt", ConfigError, "empty.txt is a text; give @empty.txt for the images that it lists"),
    ],
)
def test_what_cannot_be_found_is_said(place, text, error, said):
    (place / "empty.txt").write_text("\n# nothing\n")
    (place / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    (place / "zero.txt").write_bytes(b"a\0b")
    (place / "glob.txt").write_text("\nx/*.gif\n")
    with pytest.raises(error, match=said):
        find_sources([text])


def test_no_two_results_share_a_name():
    names = Names()
    given = [names.of(name) for name in ("a.jpg", "a.png", "a.jpg", "b/a.jpg", "a.png")]
    assert given == [("a.jpg", "a"), ("a.png", "a.png"), ("a_2.jpg", "a_2"), ("b/a.jpg", "b/a"), ("a_2.png", "a_2.png")]
    # The picture of an image whose name has no ending is a PNG.
    assert [names.of(name)[0] for name in ("c", "c.png", "d.png", "d")] == ["c", "c_2.png", "d.png", "d_2"]


def test_frames_and_images_do_not_share_a_name():
    """As of a video whose frames lie in a folder of its name, whichever comes first."""
    names = Names()
    assert names.of("x/000000.jpg") == ("x/000000.jpg", "x/000000")
    assert names.of("x.mp4", True) == ("x.mp4", "x_2")
    assert names.of("y.mp4", True) == ("y.mp4", "y")
    assert names.of("y/000001.jpg") == ("y/000001_2.jpg", "y/000001_2")
    assert names.of("y/one.jpg") == ("y/one.jpg", "y/one")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://a.b/c/d.jpg", "d.jpg"),
        ("http://a.b/%2e%2e%2fd.jpg?e=/f.png#g", "d.jpg"),
        ("http://a.b:80", "a.b_80"),
        ("http://[bad/x.png", "http_bad_x.png"),
        ("http:///", "image"),
    ],
)
def test_names_of_addresses_stay_in_the_folder(address, name):
    assert name_of_address(address) == name


@pytest.mark.parametrize(
    ("inputs", "out"), [(["x"], "x"), (["x"], "x/out"), (["x/*.jpg"], "x/out"), (["b.jpg"], "."), (["x/a.jpg"], "x")]
)
def test_results_among_the_images_are_refused(place, inputs, out):
    with pytest.raises(ConfigError, match=r"--out-dir .* lies in the folder of the images, .*; choose another one"):
        check_out_dir(out, find_sources(inputs))


def test_results_beside_the_images_are_fine(place):
    check_out_dir("x/out", find_sources(["x/a.jpg", "http://a.b/c.jpg"]))
    check_out_dir("out", find_sources(["x", "0"]))
