"""Draw which class is taken for which: confusion_matrix.py CONFIG RESULTS.json SAVE_DIR"""

from rdet.commands.analysis_tools.confusion_matrix import main

if __name__ == "__main__":
    main()
