"""A small in-memory class for each port: for our tests and for those of our users.

They keep every promise of the contract suites except outliving the process. Images for
:class:`MemoryRecognizer` are written with :func:`portrait`: bytes that say who is on them.
"""

from __future__ import annotations

from facelabel.testing.clock import ManualClock
from facelabel.testing.faces import portrait, some_face, vector
from facelabel.testing.inbox import MemoryInbox
from facelabel.testing.ledger import MemoryLedger
from facelabel.testing.library import MemoryLibrary
from facelabel.testing.queue import MemoryQueue
from facelabel.testing.recognizer import MemoryRecognizer
from facelabel.testing.templates import MemoryProbes, MemoryTemplates
from facelabel.testing.vector_index import MemoryIndex

__all__ = [
    "ManualClock",
    "MemoryInbox",
    "MemoryIndex",
    "MemoryLedger",
    "MemoryLibrary",
    "MemoryProbes",
    "MemoryQueue",
    "MemoryRecognizer",
    "MemoryTemplates",
    "portrait",
    "some_face",
    "vector",
]
