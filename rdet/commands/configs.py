"""List the configs that rdet brings, or copy one to a folder: rdet configs [WORD] [--copy NAME DIR]"""

from pathlib import Path

from rdet.args import ArgumentParser


def parse_args():
    parser = ArgumentParser("List the configs that rdet brings, or copy one")
    parser.add_argument("word", nargs="?", default="", help="list only names that have this in them")
    parser.add_argument(
        "--copy",
        nargs=2,
        metavar=("NAME", "DIR"),
        help="copy a config to a folder; what it inherits stays in rdet",
    )
    args = parser.parse_args()
    if args.copy and args.word:
        parser.error(f"--copy takes a name and a folder, and {args.word!r} is one word more; leave it out")
    return args


def main() -> None:
    args = parse_args()

    from rdet.config_files import config_names, copy_config

    if not args.copy:
        print("\n".join(name for name in config_names() if args.word in name))
        return

    from rdet.apis.cli import one_line_errors

    with one_line_errors():
        print(copy_config(args.copy[0], Path(args.copy[1])))
