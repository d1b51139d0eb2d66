"""Python's parser, for one thread at a time.

The parser of CPython 3.11 and 3.12 counts how deep it is in a place that all threads share. Where the garbage collector
lets another thread go on in the middle, and that one parses too, it ends in "AST constructor recursion depth mismatch".
"""

import ast
import threading

PARSING = threading.RLock()


def parsed(text: str) -> ast.Module:
    """Parse Python source; raise what :func:`ast.parse` raises."""
    with PARSING:
        return ast.parse(text)
