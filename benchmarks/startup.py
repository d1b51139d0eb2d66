"""What starting costs: python benchmarks/startup.py

`tools/train.py --help` beside an empty Python, and `import rdet` and the modules that a detection needs beside `import
torch`, each in a process of its own. Reading a config imports all parts of the kinds that it names, to check its keys.
"""

import subprocess
import sys
from pathlib import Path
from statistics import median

from side_by_side import arguments, report, spread, time_in_turns

ROOT = Path(__file__).resolve().parents[1]
TRAIN = str(ROOT / "tools/train.py")
CONFIG = str(ROOT / "configs/retinanet/r50_fpn_1x_coco.py")
COMMANDS = {
    "python": ["-c", "pass"],
    "tools/train.py --help": [TRAIN, "--help"],
    "import torch": ["-c", "import torch"],
    "import torch, rdet": ["-c", "import torch, rdet"],
    "import torch, rdet.apis.inference": ["-c", "import torch, rdet.apis.inference"],
    "load_config": ["-c", f"from rdet.config import load_config; load_config({CONFIG!r})"],
}


def main() -> None:
    args = arguments("Startup").parse_args()
    loads_torch = (
        "import sys, runpy; sys.argv = ['train.py', '--help']\ntry: runpy.run_path({!r}, run_name='__main__')\n"
    )
    loads_torch += "except SystemExit: print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", loads_torch.format(TRAIN)], capture_output=True, text=True).stdout
    assert output.splitlines()[-1] == "False", "tools/train.py --help imports torch"
    calls = {
        name: lambda words=words: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        for name, words in COMMANDS.items()
    }
    rows = []
    for name, seconds in time_in_turns(calls, args.rounds).items():
        print(f"{name}: {spread(seconds)}", flush=True)
        rows.append({"contender": name, "seconds": seconds, "median": median(seconds)})
    report(args.out, rows)


if __name__ == "__main__":
    main()
