"""A bucket in this process that speaks the XML interface which S3 and Google share, and answers as it is told to.

It notes all requests. It asks nobody who he is. A test may give it an answer for the next requests that match.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 3
#: The headers that make a key only if it is free: S3's and Google's.
_ONLY_IF_FREE = ("If-None-Match", "x-goog-if-generation-match")


@dataclass(frozen=True)
class Answer:
    """What is answered in place of the truth; `torn` bytes less than promised are sent, and the connection is ended."""

    status: int
    code: str = ""
    more: str = ""
    torn: int = 0
    #: Answer only after the request was carried out.
    late: bool = False

    @property
    def body(self) -> bytes:
        return f"<Error><Code>{self.code}</Code><Message>in words</Message>{self.more}</Error>".encode()


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Bucket:
    """The content of the server's bucket, and what came and will be answered."""

    endpoint: str = ""
    values: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    #: For each: the method that it answers ("" for all), and how often.
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ignores_ranges: bool = False

    def answer(self, method: str, answer: Answer, times: int = 1) -> None:
        """Give this answer to the next requests with a method."""
        self.answers += [(method, answer)] * times

    def count(self, method: str) -> int:
        """How many requests with a method came."""
        return sum(request.method == method for request in self.requests)


@contextlib.contextmanager
def tiny_bucket() -> Iterator[Bucket]:
    """Run a server while the block runs."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Head and body in one packet: a client that waits for the second one would wait for 40 ms.
    wbufsize = 1 << 16
    bucket: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.key = unquote(parts.path).lstrip("/").partition("/")[2]
        self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bucket = self.bucket
        with bucket.lock:
            bucket.requests.append(Request(self.command, self.path, self.query, dict(self.headers)))
            chosen = next((pair for pair in bucket.answers if pair[0] in ("", self.command)), None)
            if chosen:
                bucket.answers.remove(chosen)
        answer = chosen[1] if chosen else None
        if answer and not answer.late and not answer.torn:
            self._send(answer.status, answer.body)
            return
        with bucket.lock:
            status, body, headers = self._carry_out()
        if answer and answer.late:
            self._send(answer.status, answer.body)
        else:
            self._send(status, body, headers, answer.torn if answer else 0)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, torn: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"1"', **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) - torn])
        if torn:
            self.close_connection = True

    def _carry_out(self) -> tuple[int, bytes, dict[str, str]]:
        if not self.key:
            return (200, self._delete_many(), {}) if "delete" in self.query else (200, self._list(), {})
        if self.command in ("GET", "HEAD"):
            return self._get()
        if self.command == "DELETE":
            if "uploadId" in self.query:
                self.bucket.uploads.pop(self.query["uploadId"], None)
                return 204, b"", {}
            return (204, b"", {}) if self.bucket.values.pop(self.key, None) is not None else self._missing()
        if self.command == "POST":
            return self._upload()
        return self._put()

    def _missing(self) -> tuple[int, bytes, dict[str, str]]:
        return 404, Answer(404, "NoSuchKey").body, {}

    def _get(self) -> tuple[int, bytes, dict[str, str]]:
        if self.key not in self.bucket.values:
            return self._missing()
        value = self.bucket.values[self.key]
        headers = {"Last-Modified": formatdate(usegmt=True), "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if not wanted or self.bucket.ignores_ranges:
            return 200, value, headers
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(value)), len(value) - 1) + 1
        if start >= len(value):
            return 416, Answer(416, "InvalidRange").body, {}
        return 206, value[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(value)}"}

    def _put(self) -> tuple[int, bytes, dict[str, str]]:
        if "uploadId" in self.query:
            self.bucket.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = self.content
            return 200, b"", {"ETag": f'"{hashlib.md5(self.content).hexdigest()}"'}
        if self.key in self.bucket.values and any(self.headers.get(name) for name in _ONLY_IF_FREE):
            return 412, Answer(412, "PreconditionFailed").body, {}
        self.bucket.values[self.key] = self.content
        return 200, b"", {}

    def _upload(self) -> tuple[int, bytes, dict[str, str]]:
        if "uploads" in self.query:
            identity = f"upload-{len(self.bucket.requests)}"
            self.bucket.uploads[identity] = {}
            xml = f"<InitiateMultipartUploadResult><UploadId>{identity}</UploadId></InitiateMultipartUploadResult>"
            return 200, xml.encode(), {}
        parts = self.bucket.uploads.pop(self.query["uploadId"])
        self.bucket.values[self.key] = b"".join(parts[number] for number in sorted(parts))
        xml = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        return 200, xml.encode(), {}

    def _delete_many(self) -> bytes:
        root = ElementTree.fromstring(self.content)
        removed = [element.text or "" for element in root.iter() if element.tag.endswith("Key")]
        for key in removed:
            self.bucket.values.pop(key, None)
        entries = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in removed)
        return f"<DeleteResult>{entries}</DeleteResult>".encode()

    def _list(self) -> bytes:
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        prefix = self.query.get("prefix", "")
        keys = sorted(key for key in self.bucket.values if key.startswith(prefix) and key > after)
        page = keys[:PAGE]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.bucket.values[key])}</Size><ETag>1</ETag>"
            "<LastModified>2026-11-23T12:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        more = len(keys) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = str(more).lower()
        return f"<ListBucketResult>{entries}<IsTruncated>{truncated}</IsTruncated>{token}</ListBucketResult>".encode()
