"""Count parameters and operations of a detector: python tools/analysis_tools/get_flops.py CONFIG"""

from rdet.commands.analysis_tools.get_flops import main

if __name__ == "__main__":
    main()
