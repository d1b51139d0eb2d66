"""What an exported file says of itself, so that it can be used without a config."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from rdet.deploy.tensor_detector import HEADS, output_names
from rdet.errors import CheckpointError

KEY = "rdet.export"
FORMAT = 1
LONGEST_SIDE = 16384  # of a batch, in pixels
_MOST_NUMBERS = 2**32  # of a batch


@dataclass(frozen=True)
class Metadata:
    """All that is needed to give images to a file and to read its outputs, beside the file.

    Attributes:
        rdet, torch: Versions that made it.
        weights: The checkpoint, as it was given.
        head: ``'raw'``, ``'decoded'`` or ``'end2end'``; see :class:`~rdet.deploy.tensor_detector.TensorDetector`.
        outputs: Their names.
        classes: Names of the classes.
        channels: Of an image; three are blue, green, red, as OpenCV loads them.
        input: ``'uint8'`` or ``'float32'``, of values from 0 to 255.
        dtype: ``'float32'``, ``'float16'`` of the weights, or ``'int8'`` of convolutions.
        divisor: Height and width of a batch are multiples of it.
        size: Height and width of a batch, or None where they are free.
        batch: Images of a batch, or None where it is free.
        pipeline: Configs of the transforms from an image file to the network's input.
        postprocess: Config of the suppression: its thresholds, and what it does after ``'raw'`` and ``'decoded'``.
        config: The whole config, as Python text.
        opset: Of ONNX; else None.
        quantization: Of int8, how it was calibrated and which layers are in float; else None.
        weights_sha256: Of the file of the weights that belongs to it, where they are in one of their own; else None.
    """

    rdet: str
    torch: str
    weights: str
    head: str
    outputs: list[str]
    classes: list[str]
    channels: int
    input: str
    dtype: str
    divisor: int
    size: list[int] | None
    batch: int | None
    pipeline: list[dict[str, Any]]
    postprocess: dict[str, Any]
    config: str
    opset: int | None
    quantization: dict[str, Any] | None = None
    weights_sha256: str | None = None

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    def made_size(self) -> tuple[int, int] | None:
        """Return the height and width that the pipeline makes of all images; None where they differ."""
        size = None
        for step in self.pipeline:
            name = str(step.get("type")).rpartition(".")[2]
            wanted = step.get({"Pad": "size", "Resize": "scale"}.get(name, ""))
            if name == "Resize" and step.get("keep_ratio", False):
                size = None
            elif isinstance(wanted, int | list):
                width, height = wanted if isinstance(wanted, list) else (wanted, wanted)
                size = -(-height // self.divisor) * self.divisor, -(-width // self.divisor) * self.divisor
        return size


def metadata_of(text: str | None, path: str) -> Metadata:
    """Read what :meth:`Metadata.to_text` returned.

    Args:
        text: From the file; None: it has none.
        path: The file, for messages.

    Raises:
        CheckpointError: It is no export of rdet, or of a later version, or the text is damaged.
    """
    if text is None:
        raise CheckpointError(f"{path} is no file that 'rdet export' wrote; give one, or a checkpoint")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: what it says of itself is damaged; export it again") from error
    if not isinstance(values, dict) or not isinstance(values.get("format"), int):
        raise CheckpointError(f"{path}: what it says of itself is damaged; export it again")
    found = values.pop("format")
    if found != FORMAT:
        raise CheckpointError(
            f"{path} is of export format {found}, of rdet {values.get('rdet')}, and this rdet reads {FORMAT}; export "
            "it again, or take that rdet"
        )
    hints = get_type_hints(Metadata)
    for field in fields(Metadata):
        if field.name not in values and field.default is not MISSING:  # a file that is older than the entry
            continue
        if field.name not in values or not _fits(values[field.name], hints[field.name]):
            raise CheckpointError(f"{path}: what it says of itself has no usable {field.name!r}; export it again")
    known = Metadata(**{name: value for name, value in values.items() if name in hints})
    if not _has_meaning(known):
        raise CheckpointError(f"{path}: what it says of its inputs has no meaning; export it again")
    if known.head not in HEADS or known.outputs not in [output_names(known.head, has) for has in (False, True)]:
        raise CheckpointError(f"{path}: what it says of its outputs has no meaning; export it again")
    return known


def _has_meaning(known: Metadata) -> bool:
    """Tell whether images as they are said to be can be made."""
    sides = [known.divisor, *(known.size or (known.divisor,) * 2)]
    numbers = [known.channels, *sides, known.batch or 1]
    if min(numbers) < 1 or max(numbers) > LONGEST_SIDE or len(sides) != 3 or known.input not in ("uint8", "float32"):
        return False
    return (known.batch or 1) * known.channels * sides[1] * sides[2] <= _MOST_NUMBERS


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value of JSON is of a type: plain ones, lists and dicts of them, or one of several."""
    arguments = get_args(kind)
    origin = getattr(kind, "__origin__", None)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict)
    if arguments:
        return any(_fits(value, choice) for choice in arguments)
    if kind is NoneType:
        return value is None
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
