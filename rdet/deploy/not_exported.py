"""Why a detector has no file of a form."""

from rdet.deploy.metadata import Metadata
from rdet.errors import ConfigError


def not_exported(error: Exception, metadata: Metadata) -> ConfigError:
    """Say in a line why a detector has no file, and what may help."""
    reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
    if "Constraints violated" in reason:  # which goes on with names of torch's variables
        reason = "a map of one cell, or another number, holds for some sizes of images alone"
    remedy = ""
    if metadata.size is None:
        made = metadata.made_size()
        remedy = (
            f"; give --size {made[1]}x{made[0]}, which its pipeline makes of all images"
            if made
            else "; a fixed --size may do"
        )
    elif metadata.batch is None:
        remedy = "; a fixed --batch may do"
    return ConfigError(f"the detector cannot be exported ({reason}){remedy}")
