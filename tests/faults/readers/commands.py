"""The tools with odd command lines."""

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path
from random import Random

from fuzz import Case, Reader
from mmengine.visualization import Visualizer

from rdet.errors import ConfigError
from readers import tiny

TOOLS = tiny.TESTS.parent / "tools"

# Tool -> positional arguments and options that work, None where an option has no value.
COMMANDS = {
    "infer": (
        ["{config}", "{checkpoint}", "{image}"],
        {
            "--out-dir": "out",
            "--score-thr": "0.5",
            "--device": "cpu",
            "--amp": None,
            "--cfg-options": "model.postprocess.max_per_img=3",
        },
    ),
    "test": (
        ["{config}", "{checkpoint}"],
        {
            "--work-dir": "work",
            "--out": "out.json",
            "--show-dir": "shown",
            "--cfg-options": "val_dataloader.batch_size=2",
        },
    ),
    "train": (
        ["{config}"],
        {
            "--work-dir": "work",
            "--resume": "{checkpoint}",
            "--seed": "0",
            "--cfg-options": "train_cfg.max_iters=3",
            "--auto-scale-lr": None,
        },
    ),
    "print_config": (["{config}"], {"--changes": None, "--cfg-options": "train_cfg.max_iters=3"}),
    "convert_checkpoint": (["{checkpoint}", "out.pth"], {"--from": "auto", "--to": "rdet", "--style": "caffe"}),
    "convert": (["{data}", "converted"], {"--to": "yolo", "--from": "coco", "--link": None}),
    "configs": (["fpn"], {}),
    "convert_config": (["{config}", "out.py"], {}),
    "fit_anchors": (
        ["{config}"],
        {"--out": "out.py", "--method": "kmeans", "--num-anchors": "1", "--max-images": "2", "--seed": "0"},
    ),
    "make_quickstart": (["quick"], {"--train": "1", "--val": "1", "--size": "64", "--seed": "0"}),
    "paper": (["status", "1a"], {"--work-dir": "work", "--results": "results.json", "--seeds": "1"}),
    "compare": (
        ["{config}"],
        {"--work-dir": "work", "--out": "compared", "--rounds": "0", "--seeds": "0", "--cfg-options": "a"},
    ),
}
NUMBERS = [
    "nan",
    "inf",
    "-1",
    "0",
    "1e9",
    "1e400",
    "99999999999",
    "4294967296",
    "0x10",
    "1_0",
    "１",
    "",
    " ",
    "a",
    "--",
    "-",
]
PATHS = [
    *(
        "",
        " ",
        "not/there",
        "file",
        "folder",
        "pipe",
        "file/below",
        "locked/x",
        "folder/",
        "no\udcffutf8",
        "a" * 300,
        ".",
    ),
    *(
        "/dev/null",
        "/proc/self/mem",
        "/proc/nothing",
        "http://",
        "mmdet://no",
        "x://y",
        "{config}",
        "{image}",
    ),
]
NO_FILES = [
    "",
    " ",
    "folder",
    "pipe",
    "folder/",
    "a" * 300,
    ".",
    "/dev/null",
]  # what is not there is the config's affair
DEVICES = ["cuda:99", "mps", "abc", "", "cpu:7", "meta", "cuda:-1", "cpu cpu", "xla", "CPU", "0"]
OVERRIDES = [
    *(
        "a",
        "=",
        "=1",
        "a=",
        "model",
        "model=3",
        "model.=1",
        ".=1",
        "model..x=1",
        "a.b=c=d",
    ),
    *(
        "train_cfg.max_iters=[",
        "train_cfg.max_iters=(1",
        "train_cfg.max_iters='",
        "train_cfg.max_iters=",
        "work_dir=pipe",
    ),
    *(
        "train_dataloader.batch_size=0",
        "val_dataloader.batch_size=-1",
        "data_root=\udcff",
        "train_cfg.max_iters=1e3",
        "x" * 2000,
    ),
    *(
        "model.postprocess.score_thr=[[[[",
        "model.postprocess.score_thr=dict(a=1)",
        "param_scheduler.9.end=1",
        "param_scheduler.x=1",
    ),
]


def make(rng: Random, folder: Path) -> Case:
    tiny.data()
    places = {
        "config": tiny.write_config(folder / "tiny.py"),
        "checkpoint": folder / "good.pth",
        "image": tiny.data() / "1.png",
        "data": tiny.data(),
    }
    places["checkpoint"].write_bytes(tiny.checkpoint())
    (folder / "file").write_text("text")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "locked").mkdir(mode=0o500)
    tool = rng.choice(list(COMMANDS))
    words, options = COMMANDS[tool]
    words, options = (
        list(words),
        {key: value for key, value in options.items() if rng.random() < 0.5 or tool == "make_quickstart"},
    )
    more: list[str] = []
    for _ in range(rng.choice([1, 1, 2])):
        _make_odd(rng, words, options, more)
    if tool == "compare":  # it would start trainings
        options["--cfg-options"] = rng.choice(["a", "=", "model=3"])
    line = [
        *words,
        *more,
        *(word for key, value in options.items() for word in ([key] if value is None else [key, value])),
    ]
    line = [
        word.format(**places) if "{" in word and word in ("{config}", "{checkpoint}", "{image}", "{data}") else word
        for word in line
    ]
    return Case(lambda: _run(tool, line, folder), (), f"{tool} {' '.join(map(ascii, line))}"[:600])


def _make_odd(rng: Random, words: list[str], options: dict[str, str | None], more: list[str]) -> None:
    what = rng.choice(["word", "option", "option", "option", "more", "less", "unknown", "overrides"])
    if what == "word" and words:
        index = rng.randrange(len(words))
        words[index] = rng.choice(NO_FILES if words[index] in ("{config}", *NO_FILES) else PATHS)
    elif what == "option" and options:
        key = rng.choice(list(options))
        paths = key in ("--out", "--out-dir", "--work-dir", "--show-dir", "--resume", "--results")
        odd = PATHS if paths else DEVICES if key == "--device" else OVERRIDES if key == "--cfg-options" else NUMBERS
        options[key] = rng.choice(odd)
    elif what == "more":
        more.append(rng.choice([*PATHS, *NUMBERS]))
    elif what == "less" and len(words) > 1:
        words.pop()
    elif what == "unknown":
        more.append(rng.choice(["--outt", "--score", "-x", "--cfg-options", "--launcher=x", "--seed=", "--out"]))
    else:
        options["--cfg-options"] = rng.choice(OVERRIDES)


def _run(tool: str, line: list[str], folder: Path) -> None:
    """Run a tool as its command line would; an error of the parser counts as one of rdet."""
    os.chdir(folder)
    os.environ["RDET_TRACEBACK"] = "1"
    for kind in (Visualizer, *Visualizer.__subclasses__()):  # one of a second ago has the same name
        kind._instance_dict.clear()
    kept, sys.argv = sys.argv, [f"{tool}.py", *line]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            runpy.run_path(str(TOOLS / f"{tool}.py"), run_name="__main__")
    except SystemExit as end:
        if end.code == 2:
            raise ConfigError(said.getvalue().strip().rpartition("error: ")[2].replace("required: ", "give ")) from None
        if end.code:
            raise ConfigError(said.getvalue().strip()) from None
    finally:
        sys.argv = kept


READERS = [Reader("commands", make, cases=16, seconds=60)]
