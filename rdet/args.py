"""Command-line options. Imports nothing heavy, so that ``--help`` answers at once."""

import argparse
import difflib
from collections.abc import Sequence

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
        if unknown:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            close = difflib.get_close_matches(unknown[0].split("=")[0], options, n=2)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            self.error(f"there is no option {unknown[0]}.{hint}")
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
