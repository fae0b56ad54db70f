"""What a bucket's answer means, and what the user can do about it, in one line.

The library for buckets gives an error's class and a text that holds the store's own answer. Only the status, the
store's code for the error, and a few words are taken from it: the rest is long, and could hold what is nobody's
business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from hitsave.errors import (
    RemoteConflict,
    RemoteError,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnavailable,
    RemoteUnsuitable,
)


class Action(Enum):
    """What was tried."""

    READ = "read"
    WRITE = "write"
    LIST = "list"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Place:
    """How messages name a bucket: the remote's URL, the bucket alone, whose kind it is, and where it is asked."""

    url: str
    bucket: str
    kind: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a failure: the class of the error, the HTTP status (0: none), the store's code, the text."""

    name: str
    status: int
    code: str
    text: str


_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*(\w+)\s*</Code>|\(code: (\w+)\)")
_REGION = re.compile(r"<Region>\s*([\w-]+)\s*</Region>|expecting '([\w-]+)'")
_METADATA = re.compile(r"169\.254\.\d+\.\d+|metadata\.google\.internal|fd00:ec2::254")

_NO_BUCKET = frozenset(("NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "ContainerBeingDeleted"))
_NO_BUCKET_TEXT = ("bucket does not exist", "container does not exist")
_UNKNOWN_USER = frozenset(("InvalidAccessKeyId", "InvalidAuthenticationInfo", "NoAuthenticationInformation"))
_WRONG_SECRET = frozenset(("SignatureDoesNotMatch", "AuthenticationFailed", "AuthorizationFailure"))
_EXPIRED = frozenset(("ExpiredToken", "TokenRefreshRequired", "InvalidToken", "RequestExpired"))
_WRONG_CLOCK = frozenset(("RequestTimeTooSkewed", "RequestInTheFuture"))
_NO_RIGHT = frozenset(
    ("AccessDenied", "AuthorizationPermissionMismatch", "PermissionDeniedError", "UnauthenticatedError")
)
_WRONG_REGION = frozenset(
    ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "TemporaryRedirect")
)
_PASSING = frozenset(
    (
        *("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling"),
        *("ConditionalRequestConflict", "ServerBusy", "OperationTimedOut", "TooManyRequests", "RequestLimitExceeded"),
    )
)
_PASSING_TEXT = ("HTTP error", "timed out", "error decoding response body", "error reading a body", "Incomplete")

_RIGHTS = {
    "S3": {
        Action.READ: "s3:GetObject (and s3:ListBucket, for without it a missing key is answered like this)",
        Action.WRITE: "s3:PutObject",
        Action.LIST: "s3:ListBucket",
        Action.DELETE: "s3:DeleteObject",
    },
    "Google": {
        Action.READ: "storage.objects.get",
        Action.WRITE: "storage.objects.create",
        Action.LIST: "storage.objects.list",
        Action.DELETE: "storage.objects.delete",
    },
    "Azure": dict.fromkeys(Action, "a role such as 'Storage Blob Data Contributor'"),
}
#: Where each kind looks for credentials first.
CREDENTIALS = {
    "S3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws/credentials",
    "Google": "GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth application-default login'",
    "Azure": "AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or run 'az login'",
}


def read_answer(error: BaseException) -> Answer:
    """What an error of the library says."""
    text = str(error)
    status = _STATUS.search(text)
    code = _CODE.search(text)
    found = next((group for group in code.groups() if group), "") if code else ""
    if found.isdigit():
        return Answer(type(error).__name__, int(found), "", text)
    return Answer(type(error).__name__, int(status[1]) if status else 0, found, text)


def is_past_end(error: BaseException) -> bool:
    """Whether a range began where the value has ended."""
    answer = read_answer(error)
    return answer.status == 416 or "Wanted range starting at" in answer.text


def is_missing(error: BaseException) -> bool:
    """Whether a key is missing, and not the whole bucket."""
    answer = read_answer(error)
    return answer.name == "FileNotFoundError" and not _lacks_bucket(answer)


def explain(error: BaseException, place: Place, action: Action, key: str) -> RemoteError:
    """The error to raise in place of one of the library."""
    answer = read_answer(error)
    if answer.code in _PASSING or answer.status in (408, 425, 429) or (answer.status >= 500 and answer.status != 501):
        return _passing(answer, place, action, key)
    if answer.name == "AlreadyExistsError":
        return RemoteConflict(place.url, key)
    if answer.name == "FileNotFoundError" and not _lacks_bucket(answer) and action is not Action.WRITE:
        return RemoteNotFound(place.url, key)
    head = f"{place.url}: cannot {action.value} {key or 'the bucket'}: "
    if reason := _unsuitable(answer, place):
        return RemoteUnsuitable(head + reason)
    if reason := _refused(answer, place, action):
        return RemoteRefused(head + reason)
    if any(part in answer.text for part in _PASSING_TEXT):
        return _passing(answer, place, action, key)
    return RemoteError(head + f"the store answered {_name(answer)}")


def _name(answer: Answer) -> str:
    """The store's word for it."""
    return answer.code or (f"status {answer.status}" if answer.status else answer.name)


def _lacks_bucket(answer: Answer) -> bool:
    return answer.code in _NO_BUCKET or any(part in answer.text for part in _NO_BUCKET_TEXT)


def _unsuitable(answer: Answer, place: Place) -> str:
    where = f" at {place.endpoint}" if place.endpoint else ""
    if _lacks_bucket(answer) or answer.name == "FileNotFoundError":
        return f"there is no bucket {place.bucket!r}{where}; create it first, or correct the name or the endpoint"
    if answer.code in _WRONG_REGION or answer.status in (301, 307) or "incorrectly configured region" in answer.text:
        found = _REGION.search(answer.text)
        right = f"is in the region {found[1] or found[2]}" if found else "is in another region"
        return f"the bucket {place.bucket!r} {right}; name it in AWS_REGION, or in the URL (?region=NAME)"
    if answer.status == 501 or answer.code == "NotImplemented" or answer.name == "NotSupportedError":
        return f"this store cannot do that ({_name(answer)}), and hitsave needs it"
    if "NotPartial" in answer.text or "Received non-partial response" in answer.text:
        return "this store does not give parts of a value"
    if "InvalidContentType" in answer.text:
        return f"{place.endpoint} does not speak TLS; use an endpoint that begins with http://"
    if "certificate" in answer.text:
        return f"the certificate of {place.endpoint or 'the store'} is not trusted; name its authority in AWS_CA_BUNDLE"
    return ""


def _refused(answer: Answer, place: Place, action: Action) -> str:
    credentials = CREDENTIALS.get(place.kind, "your credentials")
    if answer.code in _WRONG_CLOCK or "date header" in answer.text:
        return f"this machine's clock is wrong ({_name(answer)}); set it, then run it again"
    if _METADATA.search(answer.text):
        return f"no credentials were found, and none came from this machine's metadata service; set {credentials}"
    if answer.code in _EXPIRED:
        return f"the credentials have expired ({answer.code}); sign in again, or renew the session token"
    if answer.code in _UNKNOWN_USER:
        return f"the store does not know the access key ({answer.code}); check {credentials}"
    if answer.code in _WRONG_SECRET:
        return f"the secret key is wrong ({answer.code}); check {credentials}"
    if "credential provider" in answer.text:
        return f"credentials could not be renewed; check {credentials}"
    if answer.status in (401, 403) or answer.code in _NO_RIGHT or answer.name in _NO_RIGHT:
        right = _RIGHTS.get(place.kind, {}).get(action)
        return f"no right to {action.value} there ({_name(answer)})" + (f"; the user needs {right}" if right else "")
    return ""


_UNREACHABLE = (
    ("Connection refused", "connection refused"),
    ("dns error", "its name cannot be resolved"),
    ("Network is unreachable", "the network is unreachable"),
    ("No route to host", "no route to it"),
)
_BROKEN = (
    ("timed out", "no answer in time"),
    ("TimedOut", "no answer in time"),
    ("Connection reset", "it was reset"),
    ("ncomplete", "the answer ended too early"),
    ("decoding response body", "the answer ended too early"),
)


def _passing(answer: Answer, place: Place, action: Action, key: str) -> RemoteUnavailable:
    head = f"{place.url}: cannot {action.value} {key or 'the bucket'}: "
    if answer.status:
        return RemoteUnavailable(head + f"the store is busy or broken ({_name(answer)}); try again later")
    where = place.endpoint or "the store"
    for words, reason in _UNREACHABLE:
        if words in answer.text:
            return RemoteUnavailable(f"{head}{where} cannot be reached ({reason}); check the endpoint and the network")
    why = next((f" ({reason})" for words, reason in _BROKEN if words in answer.text), "")
    return RemoteUnavailable(f"{head}the connection to {where} failed{why}; try again later")
