"""Train a detector: python tools/train.py CONFIG"""

from rdet.commands.train import main

if __name__ == "__main__":
    main()
