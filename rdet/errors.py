"""Errors that rdet raises on purpose. Everything else is a bug, of rdet or of a part of yours.

The tools print an :class:`RdetError` in one line and everything else with its traceback. Each class is also the builtin
that fits, so that ``except ValueError`` works. A message says the file or the entry, what is wrong, and what to do.

Every class takes its message alone: a data loader and other processes make an error again from its text.
"""

import errno
import re
import signal
from typing import TypeGuard

from rdet.messages import printable


class RdetError(Exception):
    """Base of all errors that rdet raises on purpose."""


class ConfigError(RdetError, ValueError):
    """A value of a config, an option or an argument that cannot be used."""


class PartError(RdetError, ValueError):
    """A part of a model that gives what its slot does not take. The message names the part."""


class UnknownNameError(RdetError, KeyError):
    """A type, key or option that does not exist. The message names the nearest valid ones."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would print its repr, line breaks escaped


class DatasetError(RdetError, ValueError):
    """Annotations that cannot be used, or a description of a data set that does not fit them."""


class BadImageError(DatasetError):
    """An image file that cannot be used.

    Args:
        message: One line that names the file.
        reason: ``missing``, ``unreadable``, ``truncated``, ``too large``, ``too deep`` or ``of another size``.
    """

    # Made again from its message alone, it has no reason; hence the default.
    def __init__(self, message: str, reason: str = "unreadable"):
        super().__init__(message)
        self.reason = reason


class PipelineError(RdetError, RuntimeError):
    """A transform that failed at an image. The message names both."""


class CheckpointError(RdetError, ValueError):
    """A checkpoint that cannot be read, or does not fit the model, the data or the run."""


class EvaluationError(RdetError, ValueError):
    """Detections and ground truth that do not belong together."""


class NonFiniteDetectionError(EvaluationError):
    """A detection whose box or score is infinite or not a number."""


class ResultsError(RdetError, ValueError):
    """A file of results of former runs that cannot be read."""


class ComparisonError(RdetError, RuntimeError):
    """A training of a comparison failed, left no metrics, or cannot begin."""


class NonFiniteLossError(RdetError, FloatingPointError):
    """A loss that is infinite or not a number."""


class OutOfMemoryError(RdetError, MemoryError):
    """A batch for which the device has no memory left."""


class Interrupted(BaseException):
    """A run that a signal ended, which is no error: what takes care of any error, as the log does, lets it pass.

    Args:
        number: The signal's.
        message: One line; None: the signal's name.

    Attributes:
        code: What the program ends with, as a shell would say it: 128 and the number.
    """

    def __init__(self, number: int, message: str | None = None):
        super().__init__(message or f"stopped by {signal.Signals(number).name}")
        self.number = number
        self.code = 128 + number


def interruption_behind(error: BaseException) -> Interrupted | None:
    """Return the interruption that led to an error: other libraries make an error of their own of all they meet."""
    behind: BaseException | None = None if isinstance(error, RdetError) else error
    while behind is not None and not isinstance(behind, Interrupted):
        behind = behind.__cause__ or behind.__context__
    return behind


class MissingFileError(RdetError, FileNotFoundError):
    """A file or a folder that is not there."""


class IrregularFileError(RdetError, OSError):
    """A folder, a pipe or a device where a file is expected, or a name that no file can have."""


class OutputError(RdetError, PermissionError):
    """A place where nothing can be written."""


class MissingModuleError(RdetError, ImportError):
    """A package or a module of the user that cannot be imported."""


class TrackerError(RdetError, ConnectionError):
    """A program that shows trainings, such as wandb, that cannot take a run."""


class ProcessLostError(RdetError, ConnectionError):
    """Another process of the run that has ended, or does not answer."""


class DownloadError(RdetError, ConnectionError):
    """A download that failed."""


def message_of(error: BaseException) -> str:
    """Return what an error says, never an empty text.

    Of an error that a data loader's worker met, only the message itself: torch puts the worker's traceback before it.
    Line breaks and control characters, of a file's name for example, are escaped.
    """
    if is_of_memory(error):
        asked = re.search(r"(?:tried to|unable to) allocate ([\d.]+ \w+)", str(error), flags=re.IGNORECASE)
        amount = f" for {asked[1]} more" if asked else ""
        return f"there is no memory{amount}; lower batch_size or the size of images, or train with --amp"
    if is_of_a_file(error):
        remedy = f"; {remedy_of(error)}" if error.errno in _REMEDIES else ""
        return printable(f"{error.filename}: {error.strerror}{remedy}")
    message = str(error)
    if "Original Traceback" in message:
        *_, message = re.split(rf"^(?:[\w.]+\.)?{type(error).__name__}(?:: |$)", message, flags=re.MULTILINE)
    return printable(message.strip()) or type(error).__name__


# What torch's allocator of the host says, CUDA, and its library of products.
_OF_MEMORY = (
    *("can't allocate memory", "std::bad_alloc"),
    *("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)
_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room within the quota",
    errno.EFBIG: "raise the limit for the size of a file (ulimit -f)",
    errno.EMFILE: "raise the limit for open files (ulimit -n)",
    errno.EROFS: "take a place that can be written",
    errno.EIO: "check the disk",
    errno.EISDIR: "remove the folder of that name, or take another path",
    errno.ENOTDIR: "remove the file that has the name of a folder of it, or take another path",
    errno.EEXIST: "remove what has the name of its folder, or take another path",
    errno.ENAMETOOLONG: "take a shorter name",
}


def remedy_of(error: OSError) -> str:
    """Say what to do about a file that cannot be written."""
    return _REMEDIES.get(error.errno or 0, "make it writable, or take another path")


def is_of_memory(error: BaseException) -> bool:
    """Tell whether there was not enough memory, of the machine or of a GPU, and rdet has not said it in its words.

    torch has several errors for that.
    """
    if isinstance(error, RdetError):
        return False
    is_torchs = isinstance(error, RuntimeError) and any(text in str(error) for text in _OF_MEMORY)
    return is_torchs or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def is_of_a_file(error: BaseException) -> TypeGuard[OSError]:
    """Tell whether the system refused a file or a folder: not there, not writable, no space."""
    return isinstance(error, OSError) and error.filename is not None and error.strerror is not None
