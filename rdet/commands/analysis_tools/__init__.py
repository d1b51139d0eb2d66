"""What ``tools/analysis_tools/`` calls, with the options of MMDetection's tools of the same name."""
