"""A Valkey server of our own, for a pool that was given none.

It keeps its data in a directory, is reached by a unix socket (or a loopback port where asked), and
ends with the process that started it. Whatever kills it or its parent, the next start works at once.
"""

from rpn.store.embedded.lock import DataLock
from rpn.store.embedded.server import EmbeddedServer

__all__ = ["DataLock", "EmbeddedServer"]
