"""Look at data as the network gets them: rdet browse CONFIG [--data DIR]"""

import sys
import tempfile
from pathlib import Path

from rdet.args import (
    PAGE,
    PICTURE,
    ArgumentParser,
    add_cfg_options,
    add_data_format,
    between,
    config_to_read,
    count,
    existing,
    file_ending_in,
    folder_to_write,
    regular_expression,
    seed,
)

_OF_DATA = ("data_format", "image_size", "group_by", "value_range", "channels")


def parse_args():
    parser = ArgumentParser("Look at images as the network gets them, after augmentation, with their boxes")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument("--split", choices=["train", "val", "test"], default="train")
    parser.add_argument("--num", type=between(1, 10_000), default=16, help="how many images (default: 16)")
    parser.add_argument("--seed", type=seed, help="of a training, whose first images are shown (default: the config's)")
    parser.add_argument(
        "--epoch", type=count, help="as they are in this epoch (default: 1; with --checkpoint the last)"
    )
    parser.add_argument("--original", action="store_true", help="the images as they were loaded, before augmentation")
    parser.add_argument("--priors", action="store_true", help="the priors that each level is trained on, too")
    parser.add_argument(
        "--checkpoint", type=existing, help="whose predictions assigners read that need them, of --priors"
    )
    out = parser.add_argument_group("output", "one picture with all images, unless another kind is asked for")
    out.add_argument(
        "--out",
        type=file_ending_in(*PICTURE),
        metavar="FILE.jpg",
        help="the picture (default: browse_NAME_SPLIT.jpg)",
    )
    out.add_argument("--out-dir", type=folder_to_write, metavar="DIR", help="a folder, of a picture for each image")
    out.add_argument("--html", type=file_ending_in(*PAGE), metavar="FILE.html", help="a page with all pictures in it")
    data = parser.add_argument_group("data of your own", "as 'rdet train' takes them")
    data.add_argument("--data", type=existing, metavar="DIR", help="a folder with data of one's own")
    add_data_format(data)
    data.add_argument("--image-size", type=between(32, 10_000), help="longer side in pixels (default: the config's)")
    data.add_argument("--group-by", nargs="?", const="name", type=regular_expression, metavar="REGEX")
    add_cfg_options(parser)
    args = parser.parse_args()
    for name in _OF_DATA:
        if getattr(args, name) is not None and args.data is None:
            parser.error(f"--{name.replace('_', '-')} is of --data DIR; give that too")
    if args.checkpoint and not args.priors:
        parser.error("--checkpoint is of --priors; give that too")
    if args.priors and args.original:
        parser.error("--priors are assigned to augmented images; leave --original out")
    return args


def main() -> None:
    args = parse_args()

    from rdet.apis.browse.run import Options, browse
    from rdet.apis.cli import load_run_config, one_line_errors

    with one_line_errors(), tempfile.TemporaryDirectory(prefix="rdet_browse_") as folder:
        config, name = args.config, Path(args.config).stem
        if args.data is not None:
            from rdet.apis.own_data import Wishes, prepare

            wishes = Wishes(**{key: getattr(args, key) for key in _OF_DATA})
            path, notes = prepare(args.config, args.data, folder, wishes)
            config, name = str(path), Path(args.data).resolve().name
            print(notes[0])
        cfg = load_run_config(config, args.cfg_options, None)
        if not (args.out or args.out_dir or args.html):
            args.out = f"browse_{name}_{args.split}.jpg"
        names = Options.__dataclass_fields__
        bad = browse(cfg, Options(title=name, **{key: getattr(args, key) for key in names if key != "title"}))
        sys.exit(int(bool(bad)))
