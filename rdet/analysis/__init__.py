"""What can be learnt of detectors and data, beside their metrics."""
