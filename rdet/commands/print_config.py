"""Show a config with its bases merged, and what it changes of them: rdet print-config CONFIG"""

from rdet.args import ArgumentParser, add_cfg_options, config_to_read


def parse_args():
    parser = ArgumentParser("Show a resolved config")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    add_cfg_options(parser)
    parser.add_argument("--changes", action="store_true", help="only what the config changes of its bases")
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors, parse_options
    from rdet.config import changes, load_config

    with one_line_errors():
        cfg = load_config(args.config, parse_options(args.cfg_options))
        if not args.changes:
            print(cfg.pretty_text)
        print(f"# What {args.config} changes of its bases:")
        for key, before, after in changes(args.config, cfg):
            if after is ...:
                print(f"# - {key} = {before!r}")
            elif before is ...:
                print(f"# + {key} = {after!r}")
            else:
                print(f"# ~ {key} = {after!r} (was {before!r})")
