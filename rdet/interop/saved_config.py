"""The config that a checkpoint carries."""

from collections.abc import Mapping

from mmengine.config import Config

from rdet.config import check_config
from rdet.errors import CheckpointError, RdetError
from rdet.literal_config import literal_config
from rdet.registry import import_custom_modules


def saved_config(checkpoint: Mapping, source: str) -> Config | None:
    """Read and check the config in ``meta`` of a checkpoint of rdet; its text is not executed.

    Args:
        checkpoint: As :func:`rdet.checkpoint.read_checkpoint` returns it.
        source: Its path, for messages.

    Returns:
        None if it carries none.

    Raises:
        CheckpointError: The text is no config of plain values, or not one of this rdet.
    """
    text = (checkpoint.get("meta") or {}).get("cfg")
    if not isinstance(text, str):
        return None
    try:
        cfg = Config(literal_config(text))
        if "custom_imports" in cfg:
            import_custom_modules(**cfg.custom_imports)
        check_config(cfg)
    except RdetError as error:
        raise CheckpointError(f"the config in {source} cannot be used: {error}; give a config file") from error
    return cfg
