"""Everything that can go wrong and be told to somebody, each with a stable code.

    RPNError
    ├── BadInput            the other side said something we cannot take
    │   ├── BadMessage, BadRequirements, TextOnly, BlobMismatch, NotFound, MethodNotAllowed,
    │   │   UpgradeRequired
    ├── NotAllowed          well said, but not by this connection or not now
    │   ├── NotRegistered, WrongDevice, NotAccepted, Unauthorized, Forbidden, BadOrigin, BadHost
    ├── Conflict            it contradicts what is already there
    │   └── TaskConflict, AmbiguousTask, RequestConflict
    ├── LimitReached        a named limit stands in the way
    │   ├── DeviceLimit, ObserverLimit, RateLimited, QueueFull, TaskQuota, BlobTooLarge, BlobQuota,
    │   │   TooManyErrors
    ├── Unavailable         not the caller's fault; certainly not done
    │   ├── StoreUnavailable, Draining, NoAnswer
    ├── Ended               why the server closes a connection
    │   ├── Superseded, Silent, Slow, Unregistered, NotJoined, Revoked, Removed
    └── BadSettings, StoreFormatError, BackupFailed, ServerFailed, NoAgent
                            the operator's business, never a client's

Inside the house we know neither HTTP nor close codes: `gateway.faults` translates.
"""

from __future__ import annotations


class RPNError(Exception):
    """A failure with a code for programs and a text for people."""

    code = "ERROR"


class BadInput(RPNError):
    """The other side said something that cannot be taken."""


class BadMessage(BadInput):
    """Not JSON, not a known type, or a field is missing or of the wrong shape."""

    code = "BAD_MESSAGE"


class BadRequirements(BadInput):
    """Requirements that ask for nothing, or for something that is no amount."""

    code = "BAD_REQUIREMENTS"


class TextOnly(BadInput):
    """A binary frame, where the protocol is JSON in text frames."""

    code = "TEXT_ONLY"


class BlobMismatch(BadInput):
    """The content of a blob does not have the SHA-256 it was sent under."""

    code = "BLOB_MISMATCH"


class NotFound(BadInput):
    """What was named does not exist."""

    code = "NOT_FOUND"


class MethodNotAllowed(BadInput):
    """The route exists, but not for this method."""

    code = "METHOD_NOT_ALLOWED"


class UpgradeRequired(BadInput):
    """The route is for WebSockets, and this is a plain request."""

    code = "UPGRADE_REQUIRED"


class NotAllowed(RPNError):
    """Well said, but not by this connection, or not now."""


class NotRegistered(NotAllowed):
    """A connection spoke for a device before it registered one."""

    code = "NOT_REGISTERED"


class WrongDevice(NotAllowed):
    """A connection spoke in another device's name."""

    code = "WRONG_DEVICE"


class NotAccepted(NotAllowed):
    """An extension was used that this connection did not ask for at `register`."""

    code = "NOT_ACCEPTED"


class Unauthorized(NotAllowed):
    """No token, or none that this pool knows (any more)."""

    code = "UNAUTHORIZED"


class Forbidden(NotAllowed):
    """The token is good, but not for this."""

    code = "FORBIDDEN"


class BadOrigin(NotAllowed):
    """A browser brought a request from a page that is not ours."""

    code = "ORIGIN"


class BadHost(NotAllowed):
    """The request names a host that we do not answer for."""

    code = "HOST"


class Conflict(RPNError):
    """It contradicts what is already there."""


class TaskConflict(Conflict):
    """The submitter used this task id before, for a different task."""

    code = "TASK_CONFLICT"


class RequestConflict(Conflict):
    """This id was used before, to ask for something else."""

    code = "REQUEST_CONFLICT"


class AmbiguousTask(Conflict):
    """Several submitters have a task of this id: say whose is meant."""

    code = "AMBIGUOUS_TASK"


class LimitReached(RPNError):
    """A named limit stands in the way."""


class DeviceLimit(LimitReached):
    """This gateway holds as many devices as it may (`RPN_DEVICE_LIMIT`)."""

    code = "DEVICE_LIMIT"


class ObserverLimit(LimitReached):
    """This gateway holds as many observers as it may (`RPN_OBSERVER_LIMIT`)."""

    code = "OBSERVER_LIMIT"


class RateLimited(LimitReached):
    """Too many requests from one address (`RPN_REST_RATE_LIMIT`)."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(LimitReached):
    """The pool holds as many open tasks as it may (`RPN_OPEN_TASK_LIMIT`)."""

    code = "QUEUE_FULL"


class TaskQuota(LimitReached):
    """The submitter, or its token, has as many open tasks as it may have (`RPN_SUBMITTER_TASK_LIMIT`)."""

    code = "QUOTA"


class BlobTooLarge(LimitReached):
    """A blob has more bytes than one may have (`RPN_BLOB_LIMIT_MIB`)."""

    code = "BLOB_TOO_LARGE"


class BlobQuota(LimitReached):
    """The pool holds as many bytes of blobs as it may (`RPN_BLOB_QUOTA_MIB`)."""

    code = "BLOB_QUOTA"


class TooManyErrors(LimitReached):
    """One connection caused more errors in a minute than we answer."""

    code = "TOO_MANY_ERRORS"


class Unavailable(RPNError):
    """Not the caller's fault, and certainly not done: try again."""


class StoreUnavailable(Unavailable):
    """The pool's server (Redis or Valkey) cannot be reached."""

    code = "STORE_UNAVAILABLE"


class Draining(Unavailable):
    """This gateway is going away: connect to another, or come back."""

    code = "DRAINING"


class NoAnswer(Unavailable):
    """No scheduler has decided in time; the text says what that leaves behind."""

    code = "SCHEDULER_TIMEOUT"


class Ended(RPNError):
    """Why the server closes a connection."""


class Superseded(Ended):
    """A newer connection registered the same device."""

    code = "SUPERSEDED"


class Silent(Ended):
    """Nothing was heard from the device for `RPN_SILENCE_LIMIT_S`."""

    code = "SILENT"


class Slow(Ended):
    """The client did not read what was sent to it."""

    code = "SLOW"


class Unregistered(Ended):
    """The connection neither registered nor observed in time."""

    code = "UNREGISTERED"


class NotJoined(Ended):
    """The device could not be put into the pool in time: the pool's server did not answer."""

    code = "NOT_JOINED"


class Revoked(Ended):
    """The token that opened the connection was revoked, or its time is over."""

    code = "REVOKED"


class Removed(Ended):
    """The pool removed the device while its connection stood: come back and register again."""

    code = "REMOVED"


class BadSettings(RPNError):
    """A setting has a value it cannot have; the text names the setting."""

    code = "BAD_SETTINGS"


class StoreFormatError(RPNError):
    """The data in the store was written by a newer version than this."""

    code = "STORE_FORMAT"


class BackupFailed(RPNError):
    """A pool could not be saved or restored; nothing was changed, and the text says what to do."""

    code = "BACKUP_FAILED"


class ServerFailed(RPNError):
    """The embedded server could not be started; the text says what to do."""

    code = "SERVER_FAILED"


class NoAgent(RPNError):
    """There is no agent on this machine to speak to."""

    code = "NO_AGENT"
