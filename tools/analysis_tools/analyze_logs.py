"""Plot what trainings logged, or time their iterations: analyze_logs.py plot_curve|cal_train_time LOG ..."""

from rdet.commands.analysis_tools.analyze_logs import main

if __name__ == "__main__":
    main()
