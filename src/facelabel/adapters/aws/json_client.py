"""Signed calls of AWS's JSON services without Amazon's SDK.

The webhook's function calls AWS once for each notification, and once for its secret when it
starts; to import the SDK takes longer than all of its work. Who does more uses the SDK.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.adapters.aws.sqs_messages import batches, to_message
from facelabel.errors import Unavailable
from facelabel.rekognition import sigv4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import JobRequest
    from facelabel.core.model import Json

#: Seconds for an answer; and tries in all, as a connection kept may be closed by now.
_PATIENCE, _TRIES = 10.0, 3
#: Bytes of an answer that are read.
_MAX_ANSWER = 1 << 20
_OK = 200
#: Where the services of a partition are, if not at amazonaws.com.
_SUFFIXES = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whoever the function runs as."""

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class Service:
    """One service in one region, by the URL of its endpoint."""

    def __init__(
        self, name: str, url: str, region: str, credentials: Credentials, clock: Clock
    ) -> None:
        """``name``: as signatures have it, such as "sqs"."""
        self._name, self._region = name, region
        self._credentials, self._clock = credentials, clock
        place = urlsplit(url)
        self._host = place.netloc
        kind = (
            http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(place.netloc, timeout=_PATIENCE)

    def call(self, target: str, version: str, body: Json) -> Json:
        """Call an operation; Unavailable, with AWS's own code, if that fails.

        ``version``: of the JSON protocol, "1.0" or "1.1".
        """
        data = json.dumps(body).encode()
        for _ in range(_TRIES - 1):
            try:
                return self._once(target, version, data)
            except (OSError, http.client.HTTPException):
                self._connection.close()  # opened again by the next request
        try:
            return self._once(target, version, data)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unavailable(f"AWS's {self._name} does not answer: {error!r}") from error

    def _once(self, target: str, version: str, data: bytes) -> Json:
        headers = {
            "host": self._host,
            "content-type": f"application/x-amz-json-{version}",
            "x-amz-date": sigv4.stamp(self._clock.now()),
            "x-amz-target": target,
        }
        if self._credentials.token:
            headers["x-amz-security-token"] = self._credentials.token
        request = sigv4.Request("POST", "/", "", headers, data)
        headers["authorization"] = sigv4.sign(
            request,
            self._credentials.key,
            self._credentials.secret,
            region=self._region,
            service=self._name,
        )
        self._connection.request("POST", "/", data, headers)
        answer = self._connection.getresponse()
        return self._read(answer.status, answer.read(_MAX_ANSWER))

    def _read(self, status: int, data: bytes) -> Json:
        try:
            content = json.loads(data)
        except ValueError:
            content = {}
        if status == _OK and isinstance(content, dict):
            return content
        code = content.get("__type", "") if isinstance(content, dict) else ""
        raise Unavailable(f"AWS's {self._name} answered {status} {str(code).rpartition('#')[2]}")


class SqsSender:
    """Puts jobs into a queue."""

    def __init__(self, service: Service, url: str) -> None:
        """``url``: of the queue."""
        self._service = service
        self._url = url

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """Promise jobs, ten in a call; Unavailable if SQS did not take them all."""
        for some in batches(map(to_message, requests)):
            entries: list[Json] = [
                {"Id": str(at), "MessageBody": body} for at, body in enumerate(some)
            ]
            body: Json = {"QueueUrl": self._url, "Entries": [*entries]}
            answer = self._service.call("AmazonSQS.SendMessageBatch", "1.0", body)
            if answer.get("Failed"):
                raise Unavailable("SQS did not take every message")


def address(partition: str, service: str, region: str) -> str:
    """URL of a service, by the parts of an ARN."""
    return f"https://{service}.{region}.{_SUFFIXES.get(partition, 'amazonaws.com')}"


def secret(service: Service, name: str) -> str:
    """The text of a secret of Secrets Manager, by its ARN; "" for one that is not text."""
    answer = service.call("secretsmanager.GetSecretValue", "1.1", {"SecretId": name})
    return str(answer.get("SecretString", ""))


def parameter(service: Service, name: str) -> str:
    """The text of a parameter of SSM, by its name or ARN, decrypted."""
    answer = service.call("AmazonSSM.GetParameter", "1.1", {"Name": name, "WithDecryption": True})
    found = answer["Parameter"]
    return str(found["Value"] if isinstance(found, dict) else "")
