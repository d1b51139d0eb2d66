"""Generates the small detection data set that the quickstart trains on: no download, a few seconds.

python tools/make_quickstart.py [data/quickstart]
"""

from rdet.commands.make_quickstart import main

if __name__ == "__main__":
    main()
