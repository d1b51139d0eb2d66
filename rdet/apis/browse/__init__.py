"""A look at data as a network gets them."""

from rdet.apis.browse.views import Look, look_at_data

__all__ = ["Look", "look_at_data"]
