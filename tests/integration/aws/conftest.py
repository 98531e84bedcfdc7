"""AWS as moto plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.aws.moto_server import moto_server, new_table

if TYPE_CHECKING:
    from facelabel.adapters.aws.table import Table


@pytest.fixture(scope="session")
def moto_endpoint() -> str:
    """URL of a moto server on loopback."""
    return moto_server()


@pytest.fixture
def table() -> Table:
    """Return an empty DynamoDB table."""
    return new_table()
