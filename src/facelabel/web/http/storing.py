"""Files that are written while somebody waits: what a full disk is told as."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from facelabel.errors import NoRoom

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is the disk's fault, or the system's, and not the request's or ours.
_NO_ROOM = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE,
})  # fmt: skip


@contextmanager
def storing(what: str, where: str) -> Iterator[None]:
    """Raise NoRoom where something cannot be written.

    ``what`` says in a few words what is kept, ``where`` is the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NoRoom(f"{what} cannot be kept: {error.strerror}", where=where) from error
