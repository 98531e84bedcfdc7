"""NumPy's linear algebra on the thread that asks for it.

How many threads it starts belongs to the whole process, and by itself it takes every core there
is: more than the setting allows, and more than it gains by.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # it ships none

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One at a time may say how many.
_turn = threading.Lock()


@contextmanager
def unthreaded() -> Iterator[None]:
    """Let products of matrices start no threads of their own."""
    with _turn, _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    """Looks for NumPy's libraries among all that are loaded: not before somebody multiplies."""
    return ThreadpoolController()
