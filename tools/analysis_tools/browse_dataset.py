"""Look at data, by MMDetection's name of it: python tools/analysis_tools/browse_dataset.py CONFIG [--data DIR]"""

from rdet.commands.browse import main

if __name__ == "__main__":
    main()
