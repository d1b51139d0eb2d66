"""Convert a config of MMDetection 3: python tools/convert_config.py SOURCE OUT"""

from rdet.commands.convert_config import main

if __name__ == "__main__":
    main()
