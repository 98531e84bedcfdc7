"""Sessions and clients of Amazon's SDK.

A session reads its descriptions of AWS once in a process. They are some megabytes of JSON, which
botocore reads anew for every session; the descriptions never change while a process runs, but
credentials, regions and endpoints may.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.session import get_session

from facelabel.adapters.aws import aws_errors

if TYPE_CHECKING:
    from botocore.session import Session

#: Kept by one client: as many as a process has threads that call.
_CONNECTIONS = 64


def new_session() -> Session:
    """Return botocore's session, which reads the environment and AWS's files as they are now."""
    session = get_session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


def new_client(
    session: Session,
    service: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    keys: tuple[str, str] | None = None,
    connect: float = 10.0,
    read: float = 10.0,
    tries: int = 4,
) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    """A client of one service.

    ``region``, ``endpoint``, ``keys`` (id and secret): where they are not given, what AWS's own
    variables, files and roles say. ``connect``, ``read``: seconds for a connection and an answer,
    in each of so many ``tries``. Raises ConfigurationError.
    """
    key_id, secret = keys or (None, None)
    config = Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=_CONNECTIONS,
    )
    try:
        return session.create_client(  # boto3 would bring what copies files to S3
            service, region, endpoint_url=endpoint, config=config,
            aws_access_key_id=key_id, aws_secret_access_key=secret,
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is none
        raise aws_errors.unusable(f"Amazon's {service}", error) from error


@cache
def _loader(data_path: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    return create_loader(data_path)
