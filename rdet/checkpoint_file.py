"""What a checkpoint file is, before anything of it is read."""

import os
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import IO

from rdet.errors import CheckpointError, MissingFileError, is_of_a_file
from rdet.messages import in_one_line

# What `torch.save` names for the weights of a detector, their optimizer and the log. torch itself would read more:
# sparse and quantised tensors, tensors without data, and buffers of any size.
_NAMES = re.compile(
    r"collections\.(OrderedDict|Counter|defaultdict)|(__builtin__|builtins)\.(set|getattr)|_codecs\.encode"
    r"|(__builtin__|builtins)\.(list|dict|int|long|float)|pathlib\.(_local\.)?(Posix|Windows|PurePosix|PureWindows)Path"
    r"|torch\.(\w+Storage|storage\.\w+Storage|Size|device|[a-z]+\d+(_\w+)?|bool)"
    r"|torch\._utils\._rebuild_(tensor(_v2)?|parameter(_with_state)?)|torch\.nn\.parameter\.Parameter"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|mmengine\.logging\.history_buffer\.HistoryBuffer|(mmcv\.utils|mmengine\.config)\.config\.ConfigDict"
    r"|addict\.addict\.Dict"
    r"|numpy\.(ndarray|dtype|dtypes\.\w+DType|dtype\[\w+\])|numpy\.(core|_core)\.multiarray\.(_reconstruct|scalar)"
)
_PICKLES_OF_OLD_FILES = 5  # a number, a version, the machine, the content, the keys of its storages


def unreadable(path: str | Path, why: str) -> CheckpointError:
    """Make the error of a file that is no checkpoint."""
    return CheckpointError(f"{path} cannot be read as a checkpoint ({why}); take another")


def check_whole(path: str | Path) -> None:
    """Raise CheckpointError if a part of the file is not what was written: ``torch.load`` does not look."""
    try:
        zipped = zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        zipped = True  # of a kind that is read by nobody, as is said below
    if not zipped:
        with open(path, "rb") as file:
            try:
                begins = file.read(2)
            except OSError as error:
                raise unreadable(path, error.strerror or "it cannot be read") from error
        if begins in (b"PK", b""):
            raise unreadable(path, "its end is missing")
        return  # the older format has no sums
    try:
        with zipfile.ZipFile(path) as parts:
            _check_sizes(parts, path)
            damaged = parts.testzip()
    except CheckpointError:
        raise
    except Exception as error:  # zipfile's own are of no common kind
        if is_of_a_file(error):
            raise
        raise unreadable(path, "it is damaged") from error
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: {in_one_line(damaged)} in it is not what was written; take another")


def check_harmless(path: str | Path) -> None:
    """Raise CheckpointError if the file names what is no data, before ``torch.load`` sees it."""
    try:
        for name in _names_in(path):
            if not _NAMES.fullmatch(name):
                what = "no detector needs" if name.startswith("torch.") else "is no data and may run code"
                raise unreadable(path, f"it holds {in_one_line(name)}, which {what}")
    except (CheckpointError, MissingFileError):
        raise
    except Exception as error:  # pickletools' own are of no common kind
        if is_of_a_file(error):
            raise
        raise unreadable(path, "it is not what torch.save writes") from error


def _check_sizes(parts: zipfile.ZipFile, path: str | Path) -> None:
    """Raise CheckpointError if parts are not where or what torch writes, or claim to be larger than the file."""
    infos = parts.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise unreadable(path, "its parts are compressed, which torch.save never does")
    if infos and min(info.header_offset for info in infos) > 0:  # zipfile finds them all the same, torch does not
        raise unreadable(path, "bytes stand before its first part")
    if sum(info.file_size for info in infos) > os.path.getsize(path):
        raise unreadable(path, "its parts are larger than the file")
    pickles = [info.filename for info in infos if info.filename.endswith("data.pkl")]
    if any(info.filename.endswith("constants.pkl") for info in infos):
        raise unreadable(path, "it is a TorchScript archive, which is a program")
    if len(pickles) != 1 or len({info.filename for info in infos}) != len(infos):
        raise unreadable(path, "it is not what torch.save writes")


def _names_in(path: str | Path) -> Iterator[str]:
    """Yield what the pickles of a file name, by ``module.name``."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            (name,) = (name for name in parts.namelist() if name.endswith("data.pkl"))
            with parts.open(name) as file:
                yield from _names_of(file)
    else:
        with open(path, "rb") as file:
            for _ in range(_PICKLES_OF_OLD_FILES):
                yield from _names_of(file)


def _names_of(file: IO[bytes]) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif operation.name in ("STACK_GLOBAL", "OBJ", "EXT1", "EXT2", "EXT4"):  # torch reads none of them either
            raise UnpicklingError(operation.name)
