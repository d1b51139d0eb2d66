"""MMDetection itself, run beside rdet to compare numbers: a test environment, not a dependency (docs/interop.md)."""
