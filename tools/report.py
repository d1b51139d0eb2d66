"""Show in one page how good detections are and where they fail: python tools/report.py RESULTS [OTHER_RESULTS]"""

from rdet.commands.report import main

if __name__ == "__main__":
    main()
