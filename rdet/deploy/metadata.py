"""What an exported file says of itself, so that it can be used without a config."""

import json
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from rdet.errors import CheckpointError

KEY = "rdet.export"
FORMAT = 1


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
    opset: int | None = None
    quantization: dict[str, Any] | None = None

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)})


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
        if not _fits(values.get(field.name), hints[field.name]):
            raise CheckpointError(f"{path}: what it says of itself has no usable {field.name!r}; export it again")
    known = Metadata(**{field.name: values.get(field.name) for field in fields(Metadata)})
    sizes = [known.channels, known.divisor, *(known.size or ()), known.batch or 1]
    if min(sizes) < 1 or (known.size is not None and len(known.size) != 2) or known.input not in ("uint8", "float32"):
        raise CheckpointError(f"{path}: what it says of its inputs has no meaning; export it again")
    return known


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
