"""Train several configs with several seeds and tabulate them: python tools/compare.py BASE CONFIG ... --seeds 0 1"""

from rdet.commands.compare import main

if __name__ == "__main__":
    main()
