"""Time a detector on the images it is tested with: python tools/analysis_tools/benchmark.py CONFIG"""

from rdet.commands.analysis_tools.benchmark import main

if __name__ == "__main__":
    main()
