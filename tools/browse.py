"""Look at data as the network gets them: python tools/browse.py CONFIG [--data DIR]"""

from rdet.commands.browse import main

if __name__ == "__main__":
    main()
