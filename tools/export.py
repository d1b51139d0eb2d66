"""Write a detector as a file of another runtime: python tools/export.py [CONFIG] CHECKPOINT"""

from rdet.commands.export import main

if __name__ == "__main__":
    main()
