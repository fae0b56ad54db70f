"""How quickly the dashboard's pages come where there are a hundred thousand evaluations.

    python -m benchmarks.dashboard [--evaluations 100000] [--folder FOLDER]

It fills a cache of its own, starts `hitsave dashboard` on it, and asks for each page a few times.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import urllib3

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.display import encode_display
from hitsave.objects.evaluation import BlobLink, Evaluation, ShownArgument, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_ref
from hitsave.objects.shapes import Display, Group, Number, Series, Text

FUNCTION = "project.training.train"
AT_ONCE = 5000
TIMES = 7
FIRST = 1_795_000_000


def fill(cache: Cache, count: int) -> None:
    """Evaluations with arguments, metrics and a curve, as runs would have kept them."""
    chance = random.Random(1)
    for start in range(0, count, AT_ONCE):
        with cache.intake() as intake:
            intake.publish(
                [_evaluation(intake, number, chance) for number in range(start, min(start + AT_ONCE, count))]
            )
        print(f"\r{start + AT_ONCE:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _evaluation(intake: Intake, number: int, chance: random.Random) -> Ref:
    def add(content: bytes) -> BlobLink:
        return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))

    rate, model = 10 ** -chance.uniform(1, 4), chance.choice(("small", "medium", "large"))
    accuracy = 0.9 - abs(math.log10(rate) + 2) * 0.1 - chance.random() * 0.05
    curve = tuple((at, round(1 / (1 + at * rate), 6)) for at in range(20))
    shown = Display(
        (("lr", Number("float", rate)), ("model", Text(model, len(model))), ("seed", Number("int", number))),
        Group(
            "project.Score",
            "",
            (("accuracy", accuracy), ("loss", 1 - accuracy)),
            (("curve", Series("list", 20, curve)),),
        ),
    )
    evaluation = Evaluation(
        function=FUNCTION,
        code=blob_digest(b"code %d" % (number * 10 // 100_000)),
        arguments=blob_digest(b"%d" % number),
        manifest=add(b'{"dependencies":[]}\n'),
        result=add(b"result %d" % number),
        display=add(encode_display(shown)),
        shown=(
            ShownArgument("lr", blob_digest(b"lr"), repr(rate)),
            ShownArgument("model", blob_digest(b"model"), repr(model)),
            ShownArgument("seed", blob_digest(b"seed"), str(number)),
        ),
        experiment=True,
        started=(FIRST + number) * 1_000_000,
        elapsed=chance.randrange(1_000_000),
        by="somebody@somewhere",
        python="3.11",
    )
    digest: Digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
    return Ref(evaluation_ref(FUNCTION, evaluation.key, digest), digest, ObjectKind.EVALUATION, FIRST + number)


def pages() -> dict[str, str]:
    """What is asked for."""
    function = f"/function?name={FUNCTION}&code=all"
    return {
        "experiments": "/experiments",
        "evaluations": "/evaluations",
        "evaluations, page 1,500": "/evaluations?page=1500",
        "evaluations, the slowest": "/evaluations?sort=elapsed",
        "function": function,
        "function, page 1,500": f"{function}&page=1500",
        "function, newest version": f"/function?name={FUNCTION}",
        "function, the best": f"{function}&sort=result.accuracy",
        "function, filtered": f"{function}&where={quote('lr < 0.001, model = small')}",
        "function, filtered, the best": f"{function}&sort=result.accuracy&where={quote('lr < 0.001, model = small')}",
        "blobs": "/blobs",
    }


def main() -> None:
    """Fill, start, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the cache is, or is to be made and kept")
    asked = parser.parse_args()
    with contextlib.ExitStack() as kept:
        folder = asked.folder or Path(kept.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        if not (folder / "cache").exists():
            with Cache.open(folder / "cache") as cache:
                fill(cache, asked.evaluations)
        environ = {**os.environ, "HITSAVE_LOCAL_CACHE_DIR": f"{folder}/cache", "HITSAVE_CONFIG_DIR": str(folder)}
        command = [sys.executable, "-m", "hitsave", "dashboard", "--no-open"]
        with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                ask(process.stdout.readline().strip().rstrip("/"))
            finally:
                process.terminate()


def ask(url: str) -> None:
    """Wait until everything is known, and then ask for each page several times."""
    for what, path in (("evaluations", "/experiments"), ("what takes the space", "/blobs")):
        began = time.perf_counter()
        while b"Still reading" in urllib3.request("GET", url + path, timeout=60).data:
            time.sleep(0.2)
        print(f"{what} known after {time.perf_counter() - began:.1f} s")
    for name, path in pages().items():
        times = []
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = urllib3.request("GET", url + path, timeout=60)
            times.append(time.perf_counter() - began)
            assert answer.status == 200, (name, answer.status)
        print(f"{name:32} {statistics.median(times) * 1000:7.0f} ms  (longest {max(times) * 1000:.0f})")


if __name__ == "__main__":
    main()
