"""Which errors can a client see, and with which status?

Every error that leaves ClaraCore is one of these. Each has a status, a sentence that names the culprit and the way out,
and the OpenAI envelope `{"error": {"message", "type", "param", "code"}}`. Foreign exceptions stop at the border and are
chained with `from`.

The SDKs of OpenAI and Anthropic repeat a request after 408, 409, 429 and every 5xx, unless `x-should-retry: false` says
that this is of no use: each repetition would start a model again that does not start.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, Self, TypedDict

from claracore.types import Finding


class ErrorBody(TypedDict):
    """The inside of the OpenAI error envelope."""

    message: str
    type: str
    param: str | None
    code: str


class Explained(NamedTuple):
    """What an error means, in parts that can be shown each in its place."""

    kind: str
    """One word for programs."""
    cause: str
    evidence: str
    """The line that says so; empty where none does."""
    way_out: str


class ClaraCoreError(Exception):
    """Base of all errors that a client or a user can see."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    cause: ClassVar[str] = "Something happened that ClaraCore does not know: a mistake of its own."
    """In general, for the page of all errors; what a message says is what was the case."""
    way_out: ClassVar[str] = "Look into its log (`claracore logs`), and report it with those lines."
    should_retry: bool | None = None
    """What SDKs are told about sending the same request again; None leaves it to them."""
    explained: Explained | None = None

    def __init__(self, message: str, *, param: str | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    def envelope(self) -> dict[str, ErrorBody]:
        """Return the OpenAI error envelope, ready to be encoded as JSON."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Return the header fields that go with this error."""
        fields = {}
        if self.retry_after_seconds is not None:
            fields["Retry-After"] = str(self.retry_after_seconds)
        if self.should_retry is not None:
            fields["x-should-retry"] = str(self.should_retry).lower()
        return fields

    def told_again(self, note: str, *, retry_after_seconds: int) -> Self:
        """Return this error as another request is told it: not to be repeated, `note` behind its first line."""
        first, newline, rest = self.message.partition("\n")
        again = type(self).__new__(type(self))
        again.__dict__.update(self.__dict__)
        again.message = f"{first} ({note}){newline}{rest}" if note else self.message
        again.args = (again.message,)
        again.retry_after_seconds = retry_after_seconds
        again.should_retry = False
        return again


class BadRequest(ClaraCoreError):
    """The client sent something that cannot be understood; 400."""

    status = 400
    type = "invalid_request_error"
    code = "bad_request"
    cause = "The request cannot be read, or lacks something that it needs."
    way_out = "Correct what the message names: a field, its type, or JSON that does not parse."


class Unauthorized(ClaraCoreError):
    """No valid API key; 401."""

    status = 401
    type = "authentication_error"
    code = "unauthorized"
    cause = "This server wants a key, and the request has none, or one that is not known."
    way_out = "Send a key as `Authorization: Bearer KEY`; `claracore keys add NAME` makes one."

    def headers(self) -> dict[str, str]:
        """Ask a browser for the key, as the password of Basic."""
        return {**super().headers(), "WWW-Authenticate": 'Basic realm="claracore"'}


class Forbidden(ClaraCoreError):
    """A valid key without the right, a foreign origin, or a refused host; 403."""

    status = 403
    type = "permission_error"
    code = "forbidden"
    cause = "The key may not do this, or the request comes from a page or names a host that is not allowed."
    way_out = "Take a key with the scope that is named, or allow the page (`cors_origins`) or host (`allowed_hosts`)."


class NotFound(ClaraCoreError):
    """No such path or thing; 404."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"
    cause = "Nothing has this path or name."
    way_out = "Compare it with the list that the message offers, or with `/docs` of the server."


class ModelNotFound(NotFound):
    """The named model is not configured; 404 with the nearest names."""

    code = "model_not_found"
    cause = "No model, alias, selector or peer's model has this name, or it cannot be used at the moment."
    way_out = "Take a name of `GET /v1/models`; `unknown_model` and aliases with `*` say what answers other names."

    def __init__(self, model: str, known: Iterable[str], reason: str = "") -> None:
        """Take the names that are known, and the reason if the name is configured and yet nothing answers to it."""
        if reason:
            super().__init__(f"model {model!r} cannot be used: {reason}", param="model")
            return
        names = sorted(known)
        wanted = model.lower()
        parts = [name for name in names if wanted and (wanted in name.lower() or name.lower() in wanted)]
        near = (parts or difflib.get_close_matches(model, names, n=3, cutoff=0.5))[:3]
        if near:
            hint = f"did you mean {' or '.join(repr(name) for name in near)}?"
        elif names:
            hint = f"known models: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        else:
            hint = "no models are configured"
        super().__init__(f"model {model!r} is not known; {hint}", param="model")

    def headers(self) -> dict[str, str]:
        """Tell another ClaraCore, which has sent a request on, that it is not the model's server that answers 404."""
        return {**super().headers(), "X-ClaraCore-Error": self.code}


class Conflict(ClaraCoreError):
    """The request does not fit the present state; 409."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"
    cause = "What is asked for does not fit what is so now: a model that is not loaded, a name that is taken."
    way_out = "Do first what the message names, then ask again."


class PayloadTooLarge(ClaraCoreError):
    """Head or body over the configured limit; 413."""

    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"
    cause = "The body is over the limit, or `model` comes too late in it."
    way_out = "Send less (a smaller picture, a shorter text); put `model` at the beginning of the body."


class ModelFailed(ClaraCoreError):
    """The model's server did not start or died; 502 with its exit status and last lines."""

    status = 502
    code = "model_failed"
    cause = "The model's server ended before it was ready, or while it answered."
    way_out = "The message has its last lines and what they mean (table below); `claracore logs MODEL` has all of them."
    should_retry = False

    def __init__(
        self, model: str, reason: str, last_lines: Sequence[str] = (), explained: Explained | None = None
    ) -> None:
        tail = "".join(f"\n  | {line}" for line in last_lines)
        words = f"{explained.cause}. {explained.way_out} ({reason})" if explained is not None else reason
        super().__init__(f"model {model!r} failed: {words}{tail}")
        self.explained = explained
        self.model = model
        self.reason = reason
        self.last_lines = tuple(last_lines)


class UpstreamFailed(ClaraCoreError):
    """The model's server could not be reached or broke off its answer; 502."""

    status = 502
    code = "bad_gateway"
    cause = "The model's server could not be reached, or broke off its answer."
    way_out = "Ask again; if it happens often, `claracore logs MODEL` says what the server was at."


class MachineLost(ClaraCoreError):
    """The machine that has the model does not answer, or has broken off its answer; 503 with Retry-After."""

    status = 503
    code = "machine_lost"
    cause = "The machine that has the model does not answer, or has broken off its answer."
    way_out = (
        "Look at it: `claracore nodes` says since when and why. A name that several machines have moves on by itself."
    )

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_seconds=2)


class QueueFull(ClaraCoreError):
    """Too many requests already wait for the model; 503 with Retry-After and the queue's length."""

    status = 503
    code = "queue_full"
    cause = "As many requests wait for the model as `queue.limit` allows."
    way_out = "Ask again after Retry-After, or raise `queue.limit` or the slots of the model (`--parallel`)."


class ModelUnloaded(ClaraCoreError):
    """The model was unloaded by request while this one waited for it; 503."""

    status = 503
    code = "model_unloaded"
    cause = "Somebody unloaded the model while this request waited for it."
    way_out = "Ask again: that loads it."


class ShuttingDown(ClaraCoreError):
    """ClaraCore is stopping; 503."""

    status = 503
    code = "shutting_down"
    cause = "ClaraCore is ending, or is being started again."
    way_out = "Ask again in a moment."


class NotReadyInTime(ClaraCoreError):
    """The model was not ready within the time allowed for waiting; 504."""

    status = 504
    code = "gateway_timeout"
    cause = "The model did not get its turn, or was not ready, in the time that is allowed."
    way_out = "Raise `queue.timeout` or `healthCheckTimeout`; `claracore ps` shows what is in the way."
    should_retry = False


class PortTaken(ClaraCoreError):
    """A port that is needed belongs to somebody else; the message names the holder."""

    status = 502
    code = "port_taken"
    cause = "A port (or socket) that is needed belongs to another program."
    way_out = "Stop that program, or take another port (`--listen`, `startPort`); `claracore ports` says who has which."


class DiskFull(ClaraCoreError):
    """There is no room to keep what was asked for; 507, and nothing was changed."""

    status = 507
    code = "disk_full"
    cause = "The disk, or the quota, is full; nothing was changed."
    way_out = "Make room, then ask again."


class ReadOnlyDisk(DiskFull):
    """What was asked for would have to be kept on a file system that is mounted read-only; 507."""

    code = "read_only_disk"
    cause = "What has to be written lies on a file system that is mounted read-only."
    way_out = "Mount it read-write, or keep it elsewhere (`--config`, `downloadDir`, `store.path`)."


TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})


def too_many_files(error: Exception) -> bool:
    """Whether something could not be done or seen because no more files can be opened."""
    return isinstance(error, OSError) and error.errno in TOO_MANY_FILES


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_full(path: object, error: OSError) -> DiskFull | None:
    """Return the error for a write that failed for want of room; None when it failed for another reason."""
    if error.errno in FULL:
        return DiskFull(f"{path} cannot be written: {error.strerror}; make room, then try again")
    if error.errno == errno.EROFS:
        return ReadOnlyDisk(f"{path} cannot be written: {error.strerror}; mount it read-write, or keep it elsewhere")
    return None


class ConfigError(ClaraCoreError):
    """A configuration that cannot be used; carries every finding, not just the first; 422."""

    status = 422
    type = "invalid_request_error"
    code = "invalid_config"
    cause = "The configuration has errors; the one before it goes on."
    way_out = "Correct the lines that the message names; `claracore config check FILE` names all of them."

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))
