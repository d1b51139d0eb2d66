"""Under which names other programs know a run, so that it goes on there too when it is resumed."""

import json
from pathlib import Path

from rdet.files import write_text

TRACKED = "tracked_runs.json"


class TrackedRuns:
    """The names of a run in TensorBoard, wandb and MLflow, kept in its work dir.

    Args:
        folder: The work dir.
        goes_on: Whether the run is resumed; one that starts anew has no names yet.
    """

    def __init__(self, folder: str | Path, goes_on: bool):
        self.folder = Path(folder).resolve()
        self._names = _read(self.folder / TRACKED) if goes_on else {}

    def get(self, tracker: str) -> str | None:
        """Return the name of the run that is resumed; None: it has none there."""
        return self._names.get(tracker)

    def keep(self, tracker: str, name: str) -> None:
        """Write down under which name a tracker knows the run."""
        if self._names.get(tracker) != name:
            self._names[tracker] = name
            write_text(self.folder / TRACKED, json.dumps(self._names, indent=1) + "\n")


def _read(path: Path) -> dict[str, str]:
    """Read the names; none from a file that is not there or was changed beyond reading."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in names.items() if isinstance(v, str)} if isinstance(names, dict) else {}
