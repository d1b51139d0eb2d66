"""Convert a checkpoint: python tools/convert_checkpoint.py SOURCE OUT"""

from rdet.commands.convert_checkpoint import main

if __name__ == "__main__":
    main()
