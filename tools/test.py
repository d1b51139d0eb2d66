"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT"""

from rdet.commands.test import main

if __name__ == "__main__":
    main()
