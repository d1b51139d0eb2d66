"""Command-line options. Imports nothing heavy, so that ``--help`` answers at once."""

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rdet.config_files import find_config
from rdet.errors import MissingFileError
from rdet.signals import end_at_once_at_signals


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, which names the nearest option when one is misspelled.

    A program that has read its options ends at Ctrl-C and SIGTERM in one line.
    """

    def __init__(self, description: str):
        super().__init__(description=description, allow_abbrev=False)

    # argparse's has an overload for namespaces of other classes.
    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        parsed, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown and not unknown[0].startswith("-"):
            self.error(f"{unknown[0]!r} is one argument too many; leave it out")
        if unknown:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            close = difflib.get_close_matches(unknown[0].split("=")[0], options, n=2)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"Take one that {self.prog} --help lists."
            self.error(f"there is no option {unknown[0]}. {hint}")
        if args is None:
            end_at_once_at_signals()
        return parsed


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, which all tools that read a config share."""
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="override keys of the config")


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher``, and the option that some launchers pass by themselves."""
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="what starts the processes"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def add_data_format(parser: argparse._ActionsContainer) -> None:
    """Add how the data of ``--data`` are read."""
    parser.add_argument("--data-format", choices=["coco", "yolo", "voc", "csv"], help="where the folder has several")
    parser.add_argument(
        "--value-range",
        type=value_range,
        metavar="LOW,HIGH",
        help="of images of more than 8 bits, the values that become black and white; 'image': those of each image",
    )
    parser.add_argument(
        "--channels", type=between(1, 1000), help="of the images (default: 3, also of grey ones, which are repeated)"
    )


def add_slices(parser: argparse.ArgumentParser) -> None:
    """Add what the tools share that detect in slices of an image; :func:`check_slices` looks at what was given."""
    group = parser.add_argument_group("large images", "detect in overlapping slices, too, and merge what is found")
    group.add_argument("--slice", type=slice_size, metavar="PIXELS", help="side of a slice, or WIDTHxHEIGHT")
    group.add_argument("--overlap", type=overlap, help="of neighbours, as a fraction of a slice (default: 0.2)")
    group.add_argument("--no-whole", action="store_true", help="do not detect in the whole image besides")


def check_slices(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program if options of slices were given without slices; set the usual overlap."""
    if args.slice is None and (args.overlap is not None or args.no_whole):
        parser.error("--overlap and --no-whole are of slices; give --slice PIXELS, too")
    args.overlap = 0.2 if args.overlap is None else args.overlap


# What the names of files that are written end in.
PAGE, PLOT = (".html", ".htm"), (".png", ".svg", ".pdf")
PICTURE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

# Types of options: each takes the text of an option, and argparse names the option and what its value must be.


def count(text: str) -> int:
    """Read a whole number of 1 or more."""
    return _whole(text, 1, "1 or more")


def between(least: int, most: int) -> Callable[[str], int]:
    """Make a type of whole numbers between two."""

    def read(text: str) -> int:
        return _whole(text, least, f"{least} to {most}", most)

    return read


def seed(text: str) -> int:
    """Read a seed, of which torch and numpy take 32 bits."""
    return _whole(text, 0, "0 to 4294967295", 2**32 - 1)


def score(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a number from 0 to 1")
    return value


def minutes(text: str) -> float:
    """Read a time in minutes, more than none and at most a year."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 525_600:
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a number of minutes above 0")
    return value


def milliseconds(text: str) -> float:
    """Read a time of up to ten seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a number of milliseconds from 0 to 10000")
    return value


def value_range(text: str) -> tuple[float, float] | str:
    """Read two numbers that rise, LOW,HIGH, or the word ``image``."""
    if text == "image":
        return text
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = math.nan
    if not (low < high and math.isfinite(high - low)):
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be LOW,HIGH, such as 0,4095, or 'image'")
    return low, high


def overlap(text: str) -> float:
    """Read a fraction that leaves slices a step."""
    value = score(text)
    if value > 0.9:
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a number from 0 to 0.9")
    return value


def slice_size(text: str) -> tuple[int, int]:
    """Read a side in pixels, or ``WIDTHxHEIGHT``; return height and width."""
    return height_and_width(text, 16, 2**16)  # smaller slices would be beyond number


def height_and_width(text: str, least: int, most: int) -> tuple[int, int]:
    """Read one number for both sides, or ``WIDTHxHEIGHT``; return height and width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(sides):
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be WIDTHxHEIGHT, such as 640x480, or one number")
    what = f"{least} to {most}"
    return _whole(sides[-1], least, what, most), _whole(sides[0], least, what, most)


def regular_expression(text: str) -> str:
    """Read a regular expression."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a regular expression ({error})") from error
    return text


def existing(text: str) -> str:
    """Read the path of what is there to be read, or an address or name; a pipe would be waited for."""
    return _path(text, lambda path: path.is_dir() or path.is_file() or not path.exists(), "must be a file or a folder")


def file_to_read(text: str) -> str:
    """Read the path of a file; that it is not there is said by what reads it."""
    return _path(text, lambda path: path.is_file() or not path.exists(), "must be a file")


def config_to_read(text: str) -> str:
    """Read the path of a config, or the name of one that rdet brings; that it is not there is said by what reads it."""
    path = file_to_read(text)
    try:
        return str(find_config(path))
    except MissingFileError:
        return path


def file_to_write(text: str) -> str:
    """Read where a file goes: in a folder that can be made and written to."""
    what = "must be the name of a file"
    if text.endswith("/"):  # of a folder that is not there yet
        raise argparse.ArgumentTypeError(f"{_shown(text)} {what}")
    path = _path(text, lambda path: path.is_file() or not path.exists(), what)
    _check_writable(Path(path).parent, path)
    return path


def file_ending_in(*suffixes: str) -> Callable[[str], str]:
    """Make a type of files to write whose names say what they are, in letters of any case."""

    def read(text: str) -> str:
        if not text.lower().endswith(suffixes):
            raise argparse.ArgumentTypeError(f"{_shown(text)} must end in {' or '.join(suffixes)}")
        return file_to_write(text)

    return read


def folder_to_write(text: str) -> str:
    """Read where files go: a folder that can be made and written to."""
    path = _path(text, lambda path: path.is_dir() or not path.exists(), "must be a folder")
    _check_writable(Path(path), path)
    return path


def path_of(kind: Callable[[str], str]) -> Callable[[str], Path]:
    """Make a type that gives a ``Path``."""

    def read(text: str) -> Path:
        return Path(kind(text))

    return read


def _whole(text: str, least: int, what: str, most: float = math.inf) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= min(most, 2**62):
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be a whole number of {what}")
    return value


def _path(text: str, fits: Callable[[Path], bool], what: str) -> str:
    text = os.path.expanduser(text)  # which a shell leaves as it is after "--option="
    try:
        good = bool(text.strip()) and "\0" not in text and fits(Path(text))
    except OSError:  # a name that is too long, or a folder that cannot be looked into
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{_shown(text)} {what}")
    return text


def _check_writable(folder: Path, text: str) -> None:
    """Raise unless a folder is there and can be written to, or can be made."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{_shown(text)} must be where files can be written; {there} is not")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}...")
