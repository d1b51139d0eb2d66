"""Read all data of a config, or of a folder, and say what is wrong: python tools/check.py CONFIG [--data DIR]"""

from rdet.commands.check import main

if __name__ == "__main__":
    main()
