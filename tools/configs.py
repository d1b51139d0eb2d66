"""List the configs that rdet brings, or copy one to a folder: python tools/configs.py [WORD] [--copy NAME DIR]"""

from rdet.commands.configs import main

if __name__ == "__main__":
    main()
