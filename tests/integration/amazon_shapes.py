"""Whether an answer is what botocore's own model says, to the last key and constraint."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel, Shape

#: As the developer guide shows.
_ERROR_KEYS = {"__type", "Code", "Logref", "Message"}


def strict(client: BaseClient) -> BaseClient:
    """The client, refusing every answer that the model does not describe."""
    client.meta.events.register("before-parse.rekognition", _before_parse)
    return client


def check(operation: OperationModel, status: int, body: bytes) -> None:
    """Raise AssertionError where the body of an answer is not as the model says."""
    if status != 200:
        _check_error(json.loads(body))
    elif operation.output_shape is None or not operation.output_shape.members:
        assert body == b""
    else:
        _check_value(operation.output_shape, json.loads(body), operation.name)


def _before_parse(
    operation_model: OperationModel, response_dict: dict[str, Any], **_: object
) -> None:
    headers = response_dict["headers"]
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-RequestId"])
    assert headers["content-type"] == "application/x-amz-json-1.1"
    check(operation_model, response_dict["status_code"], response_dict["body"])


def _check_error(error: dict[str, str]) -> None:
    assert set(error) == _ERROR_KEYS
    assert error["__type"] == error["Code"]
    assert error["Message"]


def _check_value(shape: Shape, value: Any, path: str) -> None:  # noqa: ANN401 - JSON
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict), path
            assert set(value) <= set(shape.members), f"{path}: {set(value) - set(shape.members)}"
            for name, member in value.items():
                _check_value(shape.members[name], member, f"{path}.{name}")
        case "list":
            assert isinstance(value, list), path
            for number, item in enumerate(value):
                _check_value(shape.member, item, f"{path}[{number}]")
            # DeletedFaces has the shape of a request's list, which may not be empty.
            assert len(value) <= shape.metadata.get("max", len(value)), path
        case "map":
            assert isinstance(value, dict), path
            for key, item in value.items():
                _check_value(shape.key, key, path)
                _check_value(shape.value, item, f"{path}.{key}")
        case "string":
            assert isinstance(value, str), path
            _check_text(shape, value, path)
            _check_bounds(shape, len(value), path)
        case "integer" | "long":
            assert type(value) is int, path
            _check_bounds(shape, value, path)
        case _:
            assert shape.type_name in {"float", "timestamp"}, shape.type_name
            assert type(value) in {int, float}, path
            _check_bounds(shape, value, path)


def _check_bounds(shape: Shape, size: float, path: str) -> None:
    limits = shape.metadata
    assert limits.get("min", size) <= size <= limits.get("max", size), f"{path}: {size}"


def _check_text(shape: Shape, value: str, path: str) -> None:
    pattern = shape.metadata.get("pattern")
    if pattern and r"\p" not in pattern:
        assert re.fullmatch(pattern, value), f"{path}: {value!r}"
    assert value in (shape.enum or [value]), f"{path}: {value!r}"
