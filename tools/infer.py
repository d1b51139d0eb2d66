"""Detect objects in pictures: python tools/infer.py [CONFIG] CHECKPOINT IMAGE_OR_FOLDER"""

from rdet.commands.infer import main

if __name__ == "__main__":
    main()
