"""Convert a data set to another format: python tools/convert.py FOLDER OUT --to coco|voc|yolo"""

from rdet.commands.convert import main

if __name__ == "__main__":
    main()
