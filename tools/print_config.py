"""Show a config with its bases merged, and what it changes of them: python tools/print_config.py CONFIG"""

from rdet.commands.print_config import main

if __name__ == "__main__":
    main()
