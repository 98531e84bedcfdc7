"""Every error that Facelabel raises on purpose.

::

    FacelabelError
    ├── ConfigurationError      a setting is wrong; nothing was started
    │   └── ForeignFolder       the data folder is not the store's
    ├── Rejected                the input is at fault: trying again changes nothing
    │   ├── UnreadableImage     not an image we read, or over a limit
    │   ├── UnusableFace        no face, several faces, or one too poor to enrol
    │   ├── LabelRefused        the label on a training image cannot be a name
    │   ├── AlreadyExists       the name asked for is taken
    │   ├── QuotaExceeded       there may not be more of that
    │   ├── TokenReused         a client's token that came before with other parameters
    │   ├── Denied              the other side does not let us do that
    │   └── NotFound            no such asset, job, pack …
    └── Unavailable             not now: the same call may go through later
        ├── Busy                too much at once, or another server does not answer
        ├── NoRoom              a disk is full, or may not be written
        ├── OriginalMissing     a picture is known, and its file is not to be found
        └── Throttled           the other side's quota is used up; nobody's failure

The worker needs only the two middle branches: ``Rejected`` is buried with its reason where a
person sees it, ``Unavailable`` is retried. Anything else is a bug; it is retried too, because a
bug may be the machine's, and ends as a dead letter with its traceback.
"""

from __future__ import annotations


class FacelabelError(Exception):
    """Something went wrong."""

    #: The public_id of the picture that it is about, where it is of use to say.
    about: str = ""

    def __init__(self, message: str = "") -> None:
        """Use the class's own first line as the message where none is given."""
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class ConfigurationError(FacelabelError):
    """A setting is wrong."""


class ForeignFolder(ConfigurationError):
    """The data folder is not the one that holds the store's originals."""


class Rejected(FacelabelError):
    """The input is at fault; trying again changes nothing."""


class UnreadableImage(Rejected):
    """The file is not a picture that can be read."""


class UnusableFace(Rejected):
    """The picture does not show exactly one usable face."""


class LabelRefused(Rejected):
    """The label cannot be used as a name."""


class AlreadyExists(Rejected):
    """Something of that name exists already."""


class QuotaExceeded(Rejected):
    """There may not be more of that."""


class TokenReused(Rejected):
    """The client's token was used for something else."""


class Denied(Rejected):
    """The other side does not let us in."""


class NotFound(Rejected):
    """There is no such thing."""


class Unavailable(FacelabelError):
    """Not possible right now; the same call may go through later."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        """Remember how many seconds the other side asked us to wait, if it said so."""
        super().__init__(message)
        self.retry_after = retry_after


class Busy(Unavailable):
    """There is too much at once, or what the client named does not answer.

    Words for anybody; those of other errors of its kind are for the log.
    """


class NoRoom(Unavailable):
    """There is no room on the disk."""

    def __init__(self, message: str = "", *, where: str = "") -> None:
        """``where``: the folder, for the log: it is no client's business."""
        super().__init__(message)
        self.where = where


class OriginalMissing(Unavailable):
    """The file of a picture that is known is not to be found: its disk may come back."""


class Throttled(Unavailable):
    """The other side's quota is used up."""
