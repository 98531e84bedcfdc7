"""How soon the functions for AWS Lambda answer after their start, and what they take.

    python -m benchmarks.functions DATA

Builds the package, starts the real handlers from it under Lambda's own runtime client and sends
each its first event, over loopback: to moto as AWS, and to our server as Cloudinary and Amazon
Rekognition. A row of an empty handler shows what the interpreter and the client take by
themselves. DATA: folder of the test photos.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import psutil
from tests.e2e.conftest import program_in
from tests.e2e.lambda_site import function, http_api_event
from tests.e2e.served import serving
from tests.integration.aws.moto_server import REGION, client, moto_server, new_queues, new_table

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RUNS = 9
OK = 200
#: Events to a function that has started, to see what an answer takes by itself.
WARM = 3
#: What Lambda has of its own beside the package; nothing else that is installed here is seen.
RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
ROOT = Path(__file__).resolve().parents[1]
EMPTY = "empty.handler"


@dataclass(frozen=True)
class Start:
    """One start of a function."""

    #: Seconds from the start of the process to the first answer; of the answers after it.
    first: float
    later: float
    #: Seconds that the process computed until the first answer, whatever else the machine did.
    computed: float
    #: Resident bytes after the first answer.
    memory: int


@dataclass(frozen=True)
class Site:
    """What the functions talk to."""

    environment: dict[str, str]
    #: The next event for the webhook, and for the worker: never the same twice.
    notification: Callable[[], Any]
    batch: Callable[[], Any]


def start(handler: str, environment: Mapping[str, str], event: Callable[[], Any]) -> Start:
    """Start a function and send it events."""
    folder = Path(environment["FACELABEL_DATA"]).parent
    events = [event() for _ in range(WARM + 1)]
    begun = time.perf_counter()
    with function(handler, environment, folder / "functions.log", "-S") as started:
        succeed(started(events[0]))
        first = time.perf_counter() - begun
        process = psutil.Process(started.process.pid)
        times, memory = process.cpu_times(), process.memory_info().rss
        begun = time.perf_counter()
        for one in events[1:]:
            succeed(started(one))
        later = (time.perf_counter() - begun) / WARM
        return Start(first, later, times.user + times.system, memory)


def succeed(answer: Any) -> None:  # noqa: ANN401 - JSON
    """Stop the program where a function did not do what it was asked."""
    told = answer or {}
    if told.get("batchItemFailures") or told.get("statusCode", 200) != OK:
        raise SystemExit(f"a function failed: {answer}")


@contextmanager
def site(folder: Path, photo: Path) -> Iterator[Site]:
    """Start everything the functions talk to."""
    own = platformdirs.user_cache_path("facelabel") / "models"
    program = program_in(folder, Path(os.environ.get("FACELABEL_MODELS", own)))
    with ExitStack() as stack:
        account = stack.enter_context(serving(program))
        queue, dead = new_queues()
        environment = {
            **program.environment, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": moto_server(), "AWS_ENDPOINT_URL_REKOGNITION": account.url,
            "CLOUDINARY_URL": account.cloudinary_url,
            "FACELABEL_LIBRARY": "cloudinary", "FACELABEL_FACES": "rekognition",
            "FACELABEL_STORE": f"dynamodb://{new_table().name}",
            "FACELABEL_QUEUE": queue, "FACELABEL_DEAD_LETTERS": dead,
        }  # fmt: skip
        cloud = account.cloud()

        def upload() -> Any:  # noqa: ANN401 - JSON
            return cloud.upload(str(photo), asset_folder="assets")

        yield Site(
            environment,
            lambda: notification(upload(), cloud.options["api_secret"]),
            lambda: batch(upload(), queue),
        )


def notification(asset: Mapping[str, Any], secret: str) -> Any:  # noqa: ANN401 - JSON
    """What the gateway makes of Cloudinary's notification of an upload."""
    told = {"notification_type": "upload", "signature_key": "any", **asset}
    body, now = json.dumps(told).encode(), str(int(time.time()))
    signature = signing.sign_notification(body, now, secret)
    headers = {"X-Cld-Timestamp": now, "X-Cld-Signature": signature}
    return http_api_event("/webhook", headers, body)


def batch(asset: Mapping[str, Any], queue: str) -> Any:  # noqa: ANN401 - JSON
    """What Lambda makes of a job to look at a picture: this one, or one that the webhook sent."""
    job = {"kind": "asset", "key": asset["asset_id"], "payload": {}}
    sqs = client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(job))
    got = sqs.receive_message(QueueUrl=queue, AttributeNames=["All"])["Messages"][0]
    return {"Records": [{
        "messageId": got["MessageId"], "receiptHandle": got["ReceiptHandle"],
        "body": got["Body"], "attributes": got["Attributes"], "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:1:q",
        "awsRegion": REGION, "md5OfBody": got["MD5OfBody"],
    }]}  # fmt: skip


def runtime(folder: Path) -> Path:
    """A folder with Lambda's runtime client and the empty handler."""
    folder.mkdir()
    for name in RUNTIME:
        found = importlib.util.find_spec(name)
        assert found
        assert found.origin
        file = Path(found.origin)
        source = file.parent if file.stem == "__init__" else file
        (folder / source.name).symlink_to(source)
    (folder / "empty.py").write_text("def handler(event, context): pass\n")
    return folder


def package(folder: Path) -> str:
    """Build what the functions run and print its sizes; or the path of what is installed."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "deploy" / "aws" / "build.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    try:
        size = script.build(folder / "package", "x86_64", sys.version_info[:2])
    except subprocess.CalledProcessError:
        print("no package index: what is installed here runs instead")
        return sysconfig.get_path("purelib")
    print(f"package: {size / 1e6:.1f} MB unpacked,", end=" ")
    print(f"{(script.unpacked(folder / 'package') - size) / 1e6:.1f} MB bytecode,", end=" ")
    print(f"{script.pack(folder / 'package', folder / 'package.zip') / 1e6:.1f} MB zip with both")
    return str(folder / "package")


def report(name: str, starts: list[Start]) -> None:
    """Print one row."""
    firsts = [one.first * 1000 for one in starts]
    later = statistics.median(one.later * 1000 for one in starts)
    memory = max(one.memory for one in starts) / 1e6
    best, usual = min(firsts), statistics.median(firsts)
    computed = statistics.median(one.computed * 1000 for one in starts)
    print(f"{name:<8} first answer {best:5.0f} ms best, {usual:5.0f} ms median,", end=" ")
    print(
        f"{computed:4.0f} ms of them computing; later ones {later:5.0f} ms; {memory:4.0f} MB",
        flush=True,
    )


def main(data: Path) -> None:
    """Measure and print; the functions take turns, so that a busy minute hits all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = f"{package(folder)}{os.pathsep}{runtime(folder / 'runtime')}"
        with site(folder, data / "families" / "Family1-Dad1.jpg") as around:
            environment = {**around.environment, "PYTHONPATH": path}
            rows = {EMPTY: dict, "facelabel.aws_lambda.webhook": around.notification,
                    "facelabel.aws_lambda.worker": around.batch}  # fmt: skip
            starts: dict[str, list[Start]] = {handler: [] for handler in rows}
            for _ in range(RUNS):
                for handler, event in rows.items():
                    starts[handler].append(start(handler, environment, event))
        for handler, of_it in starts.items():
            report(handler.rpartition(".")[2] if handler != EMPTY else "empty", of_it)
    print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
