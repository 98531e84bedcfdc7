"""The deployments' templates, and what is checked of it without an account.

cfn-lint reads the template as SAM's author wrote it, which hides some mistakes; so it also reads
what SAM makes of it. What roles may do is checked by rules of our own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from boto3 import Session
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator

Node: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "aws" / "template.yaml"
#: The same with the local engine.
CONTAINER = ROOT / "deploy" / "aws" / "container" / "template.yaml"
REGION = "us-east-1"
#: Operations that no ARN can be given for, so that "*" is all there is.
EVERYWHERE = {
    "rekognition:CreateCollection",
    "rekognition:DetectFaces",
    "rekognition:ListCollections",
}
#: What Lambda does itself to reach subnets: AWS asks for "*", before any interface has an ARN.
NETWORK = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
#: The one place for a wildcard in an ARN: collections that a rebuild makes, with their time.
REBUILT = ":collection/${rekognitionCollection}-20????????????"


def template(file: Path = FILE) -> Node:
    """A template, intrinsic functions in their long form."""
    parsed: Node = yaml_parse(file.read_text("utf-8"))
    return parsed


def complaints(template: Node) -> Iterator[str]:
    """What is wrong with a SAM template, and then with what SAM makes of it; each look is slow."""
    yield from lint(template)
    try:
        made = transformed(template)
    except InvalidDocumentException as error:
        yield from (f"SAM {cause.message}" for cause in error.causes)
    else:
        yield from lint(made)


def lint(template: Node) -> list[str]:
    """What cfn-lint says: rule, place and message."""
    import cfnlint.api  # noqa: PLC0415 - takes a second, and all who collect tests would wait for it
    from cfnlint.config import ManualArgs  # noqa: PLC0415 - same

    matches = cfnlint.api.lint(json.dumps(template), config=ManualArgs(regions=[REGION]))
    return [f"{match.rule.id} {_place(match)}: {match.message}" for match in matches]


def _place(match: Any) -> str:  # noqa: ANN401 - cfn-lint's own class
    return "/".join(str(part) for part in getattr(match, "path", None) or [])


def transformed(template: Node) -> Node:
    """What CloudFormation makes of the template. Raises InvalidDocumentException."""
    copy = json.loads(json.dumps(template))
    if "CodeUri" in copy["Globals"]["Function"]:
        copy["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"  # where the build will be
    defaults = {
        name: parameter["Default"]
        for name, parameter in copy["Parameters"].items()
        if "Default" in parameter
    }
    translator = Translator({}, Parser(), boto_session=Session(region_name=REGION))
    result: Node = translator.translate(copy, parameter_values=defaults)
    return json.loads(json.dumps(result))  # type: ignore[no-any-return] # what it made is a Node


def too_wide(template: Node) -> list[str]:
    """Permissions of a transformed template that are wider than they have to be."""
    return [
        f"{name}: {complaint}"
        for name, resource in template["Resources"].items()
        for complaint in _of_resource(resource)
    ]


def statements(template: Node) -> Iterator[Node]:
    """What the roles of a transformed template may do, statement by statement."""
    for resource in template["Resources"].values():
        yield from _statements(resource)


def _of_resource(resource: Node) -> Iterator[str]:
    for arn in _texts(resource.get("Properties", {}).get("ManagedPolicyArns", [])):
        yield f"a policy of AWS: {arn}"
    for statement in _statements(resource):
        yield from _of_statement(statement)
    trusted = resource.get("Properties", {}).get("AssumeRolePolicyDocument", {})
    for statement in trusted.get("Statement", []):
        if "*" in "".join(_texts(statement["Principal"])):
            yield "anybody may take the role"


def _of_statement(statement: Node) -> Iterator[str]:
    if statement["Effect"] != "Allow":
        return
    if {"NotAction", "NotResource"} & statement.keys():
        yield "all but something"
    actions = _list(statement.get("Action", []))
    yield from (f"actions {action}" for action in actions if "*" in action)
    for text in _texts(statement.get("Resource", [])):
        wild = {"*", "?"} & {*text}
        if wild and not text.endswith(REBUILT) and {*actions} not in (EVERYWHERE, NETWORK):
            yield f"{', '.join(actions)} on {text}"


def _statements(resource: Node) -> Iterator[Node]:
    properties = resource.get("Properties", {})
    policies = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    own = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    for policy in [*policies, *own]:
        for statement in policy["Statement"]:
            yield from _alternatives(statement)


def _alternatives(node: Node) -> Iterator[Node]:
    """Both branches of an Fn::If, but not AWS::NoValue."""
    branches = node["Fn::If"][1:] if "Fn::If" in node else [node]
    return (branch for branch in branches if "Effect" in branch)


def _texts(node: object) -> Iterator[str]:
    """Every text written anywhere in a node; what is only referred to is not written here."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key == "Fn::If":
                yield from _texts(child[1:])
            elif key not in {"Ref", "Fn::GetAtt"}:
                yield from _texts(child)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
