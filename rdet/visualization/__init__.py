"""Pictures of boxes."""
