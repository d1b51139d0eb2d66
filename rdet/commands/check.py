"""Read all data of a config, or of a folder, and say what is wrong: rdet check CONFIG [--data DIR]"""

import sys
import tempfile

from rdet.args import PAGE, ArgumentParser, add_cfg_options, add_data_format, config_to_read, existing, file_ending_in

_OF_DATA = ("data_format", "value_range", "channels")


def parse_args():
    parser = ArgumentParser("Read all images and annotations, and say what is wrong with them")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument(
        "--data", type=existing, metavar="DIR", help="a folder with data of one's own, as 'rdet train' takes it"
    )
    add_data_format(parser)
    parser.add_argument(
        "--html", type=file_ending_in(*PAGE), metavar="FILE.html", help="write what is found as a page with pictures"
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    for name in _OF_DATA:
        if getattr(args, name) is not None and args.data is None:
            parser.error(f"--{name.replace('_', '-')} is of --data DIR; give that too")
    return args


def main() -> None:
    args = parse_args()

    from rdet.apis.check_data import check_data, report_page
    from rdet.apis.cli import load_run_config, one_line_errors

    with one_line_errors(), tempfile.TemporaryDirectory(prefix="rdet_check_") as folder:
        config = args.config
        if args.data is not None:
            from rdet.apis.own_data import Wishes, prepare

            wishes = Wishes(**{name: getattr(args, name) for name in _OF_DATA})
            path, notes = prepare(args.config, args.data, folder, wishes)
            config = str(path)
            print(notes[0])
        report = check_data(load_run_config(config, args.cfg_options, None))
        print("\n".join(report.tables))
        for note in report.notes:
            print(f"note: {note}")
        for finding in report.findings:
            print(finding.text)
        number = len(report.findings)
        print(f"{number} thing{'s' * (number > 1)} to look at" if number else "nothing is wrong")
        if args.html:
            from rdet.files import write_text

            write_text(args.html, report_page(report, f"Data of {args.data or args.config}"))
            print(args.html)
        sys.exit(int(bool(report.findings)))
