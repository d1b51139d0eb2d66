"""What there is to detect in: images and videos, found in folders, globs, lists, on http and at cameras."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdet.apis.infer.names import Names, name_of_address
from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.errors import ConfigError, MissingFileError
from rdet.files import read_regular, why_unreadable
from rdet.messages import in_one_line

# How the names of videos end.
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
_HTTP = ("http://", "https://")
_STREAMS = ("rtsp://", "rtsps://", "rtmp://", "rtp://", "udp://", "tcp://", "srt://")
_LONGEST_LIST = 2**28  # bytes


@dataclass(frozen=True)
class Source:
    """One image, video or camera.

    Attributes:
        where: Path, address, or the number of a camera.
        name, stem: See :class:`~rdet.apis.infer.shot.Shot`.
        is_video: Whether it has frames.
        is_live: Whether nobody knows when it ends: a camera or a stream.
        folder: Where it lies, or the folder that was searched; None of what is on no disk.
        searched: Whether that folder was searched.
    """

    where: str
    name: str
    stem: str
    is_video: bool = False
    is_live: bool = False
    folder: Path | None = None
    searched: bool = False


def find_sources(inputs: Sequence[str | Path]) -> list[Source]:
    """Find all images and videos of some inputs, in their order.

    Args:
        inputs: Each an image, a video, a folder (searched with its subfolders), a glob, an address of an image or a
            video (``http://``, ``https://``), a stream (``rtsp://``), the number of a camera, or ``@FILE``: a text file
            with one of these in each line, relative to its folder.

    Raises:
        MissingFileError: There is no such path, or nothing in it.
        ConfigError: A list cannot be used.
    """
    names = Names()
    return [source for text in inputs for source in _found(str(text), names)]


def is_alone(sources: Sequence[Source]) -> bool:
    """Tell whether one image or camera was asked for by itself, so that its error is that of the run."""
    return len(sources) == 1 and not sources[0].searched and (sources[0].is_live or not sources[0].is_video)


def _found(text: str, names: Names, base: Path | None = None) -> Iterator[Source]:
    """Find what one input stands for; of a line of a list, ``base`` is the folder of the list."""
    if text.startswith(_STREAMS):
        yield Source(text, *names.of(name_of_address(text), True), is_video=True, is_live=True)
    elif text.startswith(_HTTP):
        is_video = _is_video(text.partition("?")[0])
        yield Source(text, *names.of(name_of_address(text), is_video), is_video=is_video)
    elif text.startswith("@") and base is None and not os.path.lexists(text):
        yield from _listed(Path(text[1:]).expanduser(), names)
    elif text.isdecimal() and len(text) < 4 and not os.path.lexists(text):
        yield Source(text, *names.of(f"camera_{text}", True), is_video=True, is_live=True)
    else:
        yield from _on_disk(text, names, base)


def _on_disk(text: str, names: Names, base: Path | None) -> Iterator[Source]:
    path = Path(text) if base is None else base / text
    if os.path.isdir(path):
        for inner in _in_folder(path):
            yield _file(inner, path, names, searched=True)
    elif glob.has_magic(text) and not os.path.lexists(path):
        yield from _matched(path, names)
    elif base is not None:
        yield _file(path, base if path.is_relative_to(base) and ".." not in path.parts else path.parent, names)
    elif not os.path.exists(path):
        hint = f", or @{text[1:]} for a list of paths" if text.startswith("@") else ""
        raise MissingFileError(f"no image or folder at {in_one_line(text)}; give another path{hint}")
    elif path.suffix.lower() == ".txt":
        raise ConfigError(f"{text} is a text; give @{text} for the images that it lists")
    else:
        yield _file(path, path.parent, names)


def _in_folder(folder: Path) -> list[Path]:
    """Return the images and videos below a folder, sorted."""
    known = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in known and not p.is_dir())
    if not paths:
        raise MissingFileError(f"no image in {folder} (looked for {', '.join(IMAGE_SUFFIXES)}); give another folder")
    return paths


def _matched(pattern: Path, names: Names) -> Iterator[Source]:
    """Find what a glob matches: images and videos, or, where it matches none, all files; and what is in folders."""
    fixed = Path(*_before_magic(pattern))
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]
    files = [path for path in matches if not path.is_dir()]
    known = [path for path in files if path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)]
    if "**" not in pattern.parts:  # which matches the folders' contents, too
        known += [inner for path in matches if path.is_dir() for inner in sorted(path.rglob("*")) if _is_known(inner)]
    chosen = sorted(set(known)) or files
    if not chosen:
        raise MissingFileError(f"nothing matches {in_one_line(pattern)}; correct the pattern")
    for path in chosen:
        yield _file(path, fixed, names, searched=True)


def _before_magic(pattern: Path) -> Iterator[str]:
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) and not path.is_dir()


def _listed(path: Path, names: Names) -> Iterator[Source]:
    """Find the entries of a text file; empty lines and those that begin with ``#`` are none."""
    try:
        if path.is_file() and path.stat().st_size > _LONGEST_LIST:
            raise ConfigError(f"{path} has over {_LONGEST_LIST} bytes, too many for a list of paths; divide it")
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise MissingFileError(f"no list of images at {path}; give another path after @") from error
    except OSError as error:
        raise ConfigError(f"cannot read the list {path} ({why_unreadable(error)}); give another") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8; write one path, glob or address a line") from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    entries = [(number, entry) for number, entry in stripped if entry and not entry.startswith("#")]
    if not entries:
        raise MissingFileError(f"{path} lists no image; write one path, glob or address a line")
    for number, entry in entries:
        if "\0" in entry:
            raise ConfigError(f"{path}, line {number}: {in_one_line(entry)} is the name of no file; correct it")
        try:
            yield from _found(entry, names, path.parent)
        except (MissingFileError, ConfigError) as error:
            raise type(error)(f"{path}, line {number}: {error}") from error


def _file(path: Path, root: Path, names: Names, searched: bool = False) -> Source:
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    is_video = _is_video(path.name)
    return Source(str(path), *names.of(name, is_video), is_video, folder=root, searched=searched)


def _is_video(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES)
