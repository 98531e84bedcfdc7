"""The importable descriptions of the API: valid, alike, and what a signed body needs.

Each check is shown a planted mistake that it has to find.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import pytest
from openapi_spec_validator import validate
from openapi_spec_validator.readers import read_from_filename
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from facelabel.cloudinary.notifications import PATHS

Node: TypeAlias = dict[str, Any]

API = Path(__file__).parents[3] / "api"
#: Of API Gateway's REST APIs, as the original app had it, and of its HTTP APIs.
FILES = ("rekog_api.yaml", "openapi.yaml")
INTEGRATION = "x-amazon-apigateway-integration"
VALIDATORS = "x-amazon-apigateway-request-validators"
ANSWERS = {"200", "400", "401", "413", "503"}
FUNCTION = "arn:aws:lambda:REGION:ACCOUNT:function:FUNCTION"


def description(name: str) -> Node:
    """Parse a description."""
    return parsed(API / name)


def parsed(file: Path) -> Node:
    """Parse a file."""
    return dict(read_from_filename(str(file))[0])


def complaints(api: Node) -> list[str]:
    """What keeps a signed notification from reaching the function as it was sent."""
    return [
        f"{path}: {complaint}"
        for path, methods in api["paths"].items()
        for operation in [methods["post"]]
        for complaint in [*_integration(api, operation), *_headers(api, operation)]
    ]


def _integration(api: Node, operation: Node) -> list[str]:
    found = resolved(api, operation.get(INTEGRATION, {}))
    wanted = {"type": "aws_proxy", "httpMethod": "POST"}
    wrong = [name for name, value in wanted.items() if found.get(name) != value]
    function = FUNCTION in found.get("uri", "")
    return [*wrong, *([] if function else ["the function"])]


def _headers(api: Node, operation: Node) -> list[str]:
    parameters = [resolved(api, one) for one in operation["parameters"]]
    needed = {one["name"] for one in parameters if one["in"] == "header" and one["required"]}
    return sorted({"X-Cld-Signature", "X-Cld-Timestamp"} - needed)


def resolved(api: Node, node: Node) -> Node:
    """Follow a reference within the document."""
    if "$ref" not in node:
        return node
    found: Any = api
    for name in node["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolved(api, found)


@pytest.mark.parametrize("name", FILES)
def test_it_is_valid(name: str) -> None:
    validate(description(name))


@pytest.mark.parametrize("name", FILES)
def test_it_brings_the_signed_body_to_the_function(name: str) -> None:
    assert complaints(description(name)) == []


@pytest.mark.parametrize("name", FILES)
def test_it_has_the_paths_and_answers_of_serve(name: str) -> None:
    api = description(name)
    assert {*api["paths"]} == {*PATHS}
    for methods in api["paths"].values():
        assert {*methods["post"]["responses"]} == ANSWERS
    assert api["info"]["description"]


def test_a_request_without_a_signature_ends_at_the_gateway() -> None:
    """REST APIs can refuse it before the function is called."""
    api = description("rekog_api.yaml")
    validator = api[VALIDATORS][api["x-amazon-apigateway-request-validator"]]
    assert validator == {"validateRequestParameters": True, "validateRequestBody": False}


@pytest.mark.parametrize("name", FILES)
def test_what_has_to_be_filled_in_is_an_arn_afterwards(name: str, tmp_path: Path) -> None:
    """The three words that the how-to replaces are all there is to replace."""
    text = (API / name).read_text("utf-8")
    for word, value in (("REGION", "eu-west-1"), ("ACCOUNT", "123456789012"), ("FUNCTION", "f-1")):
        text = text.replace(word, value)
    (tmp_path / name).write_text(text)
    api = parsed(tmp_path / name)
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:f-1"
    uri = resolved(api, api["paths"]["/webhook"]["post"][INTEGRATION])["uri"]
    call = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"
    assert uri in {arn, call.format(arn)}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("key", "value"),
    [("responses", {}), ("parameters", [{"name": "X", "in": "head"}]), ("consumes", 5)],
)
def test_an_invalid_description_is_found(name: str, key: str, value: object) -> None:
    api = description(name)
    api["paths"]["/webhook"]["post"][key] = value
    with pytest.raises(OpenAPIValidationError):
        validate(api)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("key", "value"),
    [(INTEGRATION, {"type": "aws", "httpMethod": "POST"}), (INTEGRATION, {}), ("parameters", [])],
)
def test_a_way_on_which_the_signature_is_lost_is_found(name: str, key: str, value: object) -> None:
    """As in the original: no proxy, so neither headers nor the body as it was sent."""
    api = description(name)
    api["paths"]["/webhook"]["post"][key] = value
    assert complaints(api)
