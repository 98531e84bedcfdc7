"""The name of the live collection in a parameter of SSM, outside the table.

A table that is lost can be made anew from the collection and the library, by whoever knows which
collection. The parameter is written before the table: after a crash in between, the table still
has the old name and everybody goes by the table, so the rebuild that is tried again switches once
more, and both have the new one. The old collection is deleted only afterwards.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from facelabel.adapters.aws import aws_errors

_MISSING = "ParameterNotFound"


class LiveName:
    """One parameter of SSM."""

    def __init__(self, client: Any, parameter: str) -> None:  # noqa: ANN401 - botocore makes its classes at run time
        """``client``: of SSM; ``parameter``: its name, such as "/facelabel/collection"."""
        self._client = client
        self._parameter = parameter
        self._title = f"the SSM parameter {parameter!r}"

    def read(self) -> str | None:
        """Return the name, None if nobody has written one."""
        try:
            with aws_errors.translated(self._title):
                answer = self._client.get_parameter(Name=self._parameter)
        except ClientError as error:
            if aws_errors.code(error) != _MISSING:
                raise
            return None
        return str(answer["Parameter"]["Value"])

    def write(self, collection: str) -> None:
        """Set the name."""
        with aws_errors.translated(self._title):
            self._client.put_parameter(
                Name=self._parameter, Value=collection, Type="String", Overwrite=True
            )
