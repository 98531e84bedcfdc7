"""How the webhook's function starts: with little, and at the right address."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tests.certificates import self_signed, server_side
from tests.integration.aws.moto_server import REGION, client, moto_server, new_queues

from facelabel.adapters.aws import json_client
from facelabel.adapters.aws.clients import new_session
from facelabel.adapters.clock import SystemClock
from facelabel.bootstrap import functions
from facelabel.bootstrap.app import opened
from facelabel.core.jobs import JobKind
from facelabel.errors import ConfigurationError, Unavailable
from facelabel.media.types import ApiKey
from facelabel.settings import load
from facelabel.testing import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from facelabel.adapters.aws.table import Table

URL = "cloudinary://key:secret@cloud"
KEYS = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
#: What would make the webhook start late.
HEAVY = (
    "boto3 botocore pydantic PIL cloudinary aws_lambda_powertools httpcore2 urllib3 sqlalchemy"
    " numpy"
)
#: Answers a notification as Lambda would have it answered; prints what that took.
ANSWER = f"""
import hashlib, json, sys, time
from facelabel import aws_lambda
body, now = json.dumps({{"notification_type": "upload", "asset_id": "a1"}}), str(int(time.time()))
signature = hashlib.sha1((body + now + "secret").encode()).hexdigest()
headers = {{"x-cld-timestamp": now, "x-cld-signature": signature}}
answer = aws_lambda.webhook({{"headers": headers, "body": body}}, None)
print(answer["statusCode"], sorted(set("{HEAVY}".split()) & set(sys.modules)))
"""


def test_the_webhook_imports_little(tmp_path: Path) -> None:
    queue, _ = new_queues()
    environment = {**os.environ, **KEYS, "CLOUDINARY_URL": URL, "CLOUDINARY_URL_SECRET": ""}
    environment |= {"AWS_ENDPOINT_URL": moto_server(), "FACELABEL_QUEUE": queue}
    said = subprocess.check_output(
        [sys.executable, "-c", ANSWER], env=environment, cwd=tmp_path, text=True
    )
    assert said == "200 []\n"
    messages = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert [json.loads(one["Body"])["key"] for one in messages] == ["a1"]


SHOW = f'print(*(set("{HEAVY}".split()) & set(sys.modules)))'


def test_the_worker_would_be_found_out() -> None:
    """The list above names what the other function does import."""
    program = f"import sys, facelabel.bootstrap.remote, facelabel.bootstrap.amazon; {SHOW}"
    said = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert {"botocore", "urllib3", "cloudinary"} <= {*said.split()}


@pytest.mark.parametrize(
    ("partition", "region"),
    [
        ("aws", "eu-central-1"), ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"), ("aws-eusc", "eusc-de-east-1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("service", ["secretsmanager", "ssm", "sqs"])
def test_services_are_where_amazons_sdk_finds_them(
    partition: str, region: str, service: str
) -> None:
    sdk = new_session().create_client(
        service, region, aws_access_key_id="k", aws_secret_access_key="s"
    )
    assert json_client.address(partition, service, region) == sdk.meta.endpoint_url


@pytest.fixture
def lambda_like(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a function, less the account and the queue."""
    for name, value in {**KEYS, "FACELABEL_QUEUE": "https://sqs.example.com/1/q"}.items():
        monkeypatch.setenv(name, value)
    for name in ("CLOUDINARY_URL", "CLOUDINARY_URL_SECRET", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "")
    return monkeypatch


def secret_of_secrets_manager() -> str:
    return str(client("secretsmanager").create_secret(Name="a", SecretString=URL)["ARN"])


def parameter_in_a_folder() -> str:
    return _parameter("/facelabel/cloudinary")


def parameter_without_a_folder() -> str:
    return _parameter("cloudinary")


def _parameter(name: str, text: str = URL) -> str:
    ssm = client("ssm")
    ssm.put_parameter(Name=name, Value=text, Type="SecureString", Overwrite=True)
    return str(ssm.get_parameter(Name=name)["Parameter"]["ARN"])


@pytest.mark.parametrize(
    "arn", [secret_of_secrets_manager, parameter_in_a_folder, parameter_without_a_folder]
)
@pytest.mark.parametrize("own", [True, False])
def test_the_account_is_read_from_its_secret(
    lambda_like: pytest.MonkeyPatch,
    arn: Callable[[], str],
    *,
    own: bool,
) -> None:
    """From where AWS's variables say that services are: one of them, or all."""
    if own:
        lambda_like.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        lambda_like.setenv("AWS_ENDPOINT_URL_SSM", moto_server())
        lambda_like.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_server())
    else:
        lambda_like.setenv("AWS_ENDPOINT_URL", moto_server())
    client("secretsmanager").delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    lambda_like.setenv("CLOUDINARY_URL_SECRET", arn())
    assert functions.webhook_app().intake.keys() == (ApiKey("key", "secret"),)
    assert not [name for name, value in os.environ.items() if "secret@" in value]


def test_the_worker_finds_its_account_there_too(
    lambda_like: pytest.MonkeyPatch, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    lambda_like.setenv("AWS_ENDPOINT_URL", moto_server())
    lambda_like.setenv("FACELABEL_STORE", f"dynamodb://{table.name}")
    lambda_like.setenv("FACELABEL_DEAD_LETTERS", "https://sqs.example.com/1/d")
    with pytest.raises(ConfigurationError, match="CLOUDINARY_URL is not set"):
        functions.worker_app()
    kept = json.dumps({"CLOUDINARY_URL": URL, "PGPASSWORD": "hush"})
    lambda_like.setenv("CLOUDINARY_URL_SECRET", _parameter("/facelabel/several", kept))
    functions.worker_app()
    assert "is no setting, and is not read: PGPASSWORD" in caplog.text
    assert not {URL, "hush"} & {*os.environ.values()}
    assert "hush" not in caplog.text


def test_a_computer_works_a_queue_of_sqs_as_the_function_does(
    lambda_like: pytest.MonkeyPatch, table: Table, tmp_path: Path
) -> None:
    for name, value in {
        "CLOUDINARY_URL": URL, "AWS_ENDPOINT_URL": moto_server(),
        "FACELABEL_STORE": f"dynamodb://{table.name}", "FACELABEL_FACES": "rekognition",
        "FACELABEL_DEAD_LETTERS": "https://sqs.example.com/1/d",
        "FACELABEL_DATA": str(tmp_path), "FACELABEL_MODELS": str(tmp_path),
    }.items():  # fmt: skip
        lambda_like.setenv(name, value)
    theirs = functions.worker_app().worker
    with opened(load()) as app:
        ours = app.worker([JobKind.NOTIFY])
    assert ours.queue.retries == theirs.queue.retries
    assert ours.queue.retries != MemoryQueue.retries
    assert (ours.heartbeat, ours.kinds) == (theirs.heartbeat, theirs.kinds)
    assert {*theirs.handlers} == {*ours.handlers} - {JobKind.NOTIFY}


def test_what_is_no_arn_is_refused(lambda_like: pytest.MonkeyPatch) -> None:
    lambda_like.setenv("CLOUDINARY_URL_SECRET", "/facelabel/cloudinary")
    with pytest.raises(ConfigurationError, match="no ARN"):
        functions.webhook_app()


def test_without_a_queue_and_a_database_nothing_is_taken(
    lambda_like: pytest.MonkeyPatch,
) -> None:
    """A file on Lambda's disk would be lost with it."""
    lambda_like.setenv("CLOUDINARY_URL", URL)
    lambda_like.setenv("FACELABEL_QUEUE", "")
    lambda_like.setenv("FACELABEL_STORE", "")
    with pytest.raises(ConfigurationError, match=r"postgresql://"):
        functions.webhook_app()


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[str]:
    """URL of an HTTPS server with a certificate of its own making."""
    context = server_side(self_signed(tmp_path, "localhost"))
    with _Quiet(("localhost", 0), http.server.BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


def test_only_amazons_certificates_are_believed(impostor: str) -> None:
    role = json_client.Credentials("key", "secret")
    service = json_client.Service("sqs", impostor, REGION, role, SystemClock())
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        service.call("AmazonSQS.SendMessage", "1.0", {})
