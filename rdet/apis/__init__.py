"""What users call: building runs, and inference on images."""
