"""Train detectors that differ in a part, with several seeds: python tools/compare.py BASE --swap SLOT=TYPE --seeds 5"""

from rdet.commands.compare import main

if __name__ == "__main__":
    main()
