"""Fit the sizes of a config's anchors to its training set: python tools/fit_anchors.py CONFIG --out CONFIG_OUT.py"""

from rdet.commands.fit_anchors import main

if __name__ == "__main__":
    main()
