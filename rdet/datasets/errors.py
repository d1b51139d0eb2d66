"""What can be wrong with a user's data."""


class DatasetError(ValueError):
    """Annotations that cannot be used, or a description of a data set that does not fit them.

    The message is one line: the file, the entry in it, and what to do.
    """


class BadImageError(DatasetError):
    """An image file that cannot be used.

    Args:
        message: One line that names the file.
        reason: ``missing``, ``unreadable``, ``truncated`` or ``of another size``.
    """

    # A data loader rebuilds a worker's error from its message alone, hence the default.
    def __init__(self, message: str, reason: str = "unreadable"):
        super().__init__(message)
        self.reason = reason
