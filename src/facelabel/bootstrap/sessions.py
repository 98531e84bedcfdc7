"""Sessions of Amazon's SDK that read its descriptions of AWS once in a process.

They are some megabytes of JSON, which botocore reads anew for every session; the descriptions
never change while a process runs, but credentials, regions and endpoints may.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import create_loader
from botocore.session import get_session

if TYPE_CHECKING:
    from botocore.session import Session


def new_session() -> Session:
    """Return botocore's session, which reads the environment and AWS's files as they are now."""
    session = get_session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@cache
def _loader(data_path: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    return create_loader(data_path)
