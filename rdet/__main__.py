"""The command ``rdet``. Imports nothing heavy, so that ``rdet --help`` answers at once."""

import difflib
import importlib
import os
import sys

from rdet import __version__

# Command -> what it does. Its module in rdet/commands has the same name, with underscores.
COMMANDS = {
    "train": "train a detector",
    "test": "evaluate a checkpoint",
    "report": "show in one page how good detections are and where they fail",
    "infer": "detect objects in pictures",
    "serve": "detect objects over HTTP, with a page to drop images on",
    "export": "write a detector as a file of ONNX, OpenVINO or torch, compared with it",
    "browse": "look at data as the network gets them, with boxes and assigned priors",
    "check": "read all images and annotations, and say what is wrong with them",
    "convert": "convert a data set to COCO, Pascal VOC or YOLO",
    "configs": "list the configs that rdet brings, or copy one",
    "print-config": "show a config with its bases merged, and what it changes of them",
    "convert-checkpoint": "convert a checkpoint of another project, or to MMDetection's",
    "convert-config": "convert a config of MMDetection 3",
    "fit-anchors": "fit the sizes of a config's anchors to its training set",
    "compare": "train detectors with other parts and several seeds, and say how they differ",
    "make-quickstart": "generate the quickstart's data set",
    "paper": "reproduce the Focal Loss paper's tables at a small scale",
}


def usage() -> str:
    """Return what ``rdet --help`` says."""
    commands = "\n".join(f"  {name:<20}{does}" for name, does in COMMANDS.items())
    return (
        "usage: rdet COMMAND ...\n\nOne-stage dense object detection.\n\n"
        f"commands:\n{commands}\n\n'rdet COMMAND --help' has the options of each."
    )


def main() -> None:
    """Run the command that the first word names."""
    name, *rest = sys.argv[1:] or [""]
    if name in ("-h", "--help", "help"):
        print(usage())
    elif name == "--version":
        print(f"rdet {__version__}")
    elif name in COMMANDS:
        sys.argv = [f"rdet {name}", *rest]  # as messages and --help call the program
        try:
            importlib.import_module(f"rdet.commands.{name.replace('-', '_')}").main()
            sys.stdout.flush()
        except BrokenPipeError:  # who read the output has seen enough: rdet configs | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at the end
            sys.exit(141)  # as a shell says it
    else:
        close = difflib.get_close_matches(name, COMMANDS, n=2)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"Valid: {', '.join(COMMANDS)}."
        said = f"there is no command {name[:100]!r}" if name else "a command is missing"
        sys.exit(_refused(f"{said}. {hint}"))


def _refused(message: str) -> int:
    print(f"rdet: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
