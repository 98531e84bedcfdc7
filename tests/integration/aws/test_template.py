"""The deployment: accepted by the tools, no wider than it has to be, and what the program expects.

Each check is shown a planted mistake that it has to find.
"""

from __future__ import annotations

import functools
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from tests.integration.aws.templates import (
    CONTAINER,
    EVERYWHERE,
    FILE,
    NETWORK,
    Node,
    complaints,
    lint,
    statements,
    template,
    too_wide,
    transformed,
)
from tests.unit.conftest import Bench

from facelabel import aws_lambda
from facelabel.adapters import rekognition
from facelabel.adapters.aws.sqs import SqsQueue
from facelabel.adapters.aws.sqs_messages import to_message
from facelabel.adapters.aws.table import EXPIRES
from facelabel.adapters.rekognition import rate
from facelabel.cloudinary.notifications import PATHS
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.recognition.reconcile import Reconciler
from facelabel.settings import SETTINGS, load, variables
from facelabel.settings.typed import Settings
from facelabel.web.serving.server import RECONCILE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Settings of the original app.
ORIGINAL = {
    "training_folder",
    "face_recognition_folder",
    "face_label_tag_prefix",
    "confidence_threshold",
    "rekognition_collection",
    "transformation_params",
}


@pytest.fixture(scope="module")
def made() -> Node:
    """Return what CloudFormation makes of the template."""
    return transformed(template())


def plant(path: str, value: object, file: Path = FILE) -> Node:
    """Return a template with something else at the path; None: nothing."""
    return planted([(path, value)], file)


def planted(mistakes: Iterable[tuple[str, object]], file: Path = FILE) -> Node:
    """Return a template with several mistakes."""
    mistaken = template(file)
    for path, value in mistakes:
        *parents, last = path.split("/")
        node: Any = mistaken
        for name in parents:
            node = node[int(name) if isinstance(node, list) else name]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return mistaken


@pytest.mark.parametrize("file", [FILE, CONTAINER], ids=["rekognition", "local"])
def test_the_tools_have_nothing_to_say(file: Path) -> None:
    assert [*complaints(template(file))] == []


WORKER = "Resources/Worker/Properties/"
BATCHES = WORKER + "Events/Jobs/Properties/"


#: Path, what stands there, and what is said of it. A look is slow, so mistakes are looked at
#: together, as far as none hides another one: what SAM refuses is not looked at again.
LOOKS: dict[Path, list[list[tuple[str, object, str]]]] = {
    FILE: [
        [
            (BATCHES + "BatchSize", "five", "SAM Resource with id [WorkerJobs]"),
            ("Resources/Queue/Type", "AWS::SQS::Qeue", "E3006"),
        ],
        [
            (WORKER + "Handler", None, "Handler"),
            (WORKER + "Memory", 128, "Memory"),
        ],
        [
            (BATCHES + "ScalingConfig/MaximumConcurrency", 1, "E3034"),
            ("Parameters/Workers/Default", 1, "E2015"),
            ("Resources/Queue/Properties/VisibilityTimeout", 30, "E3505"),
            (WORKER + "Timeout", 901, "E3717"),
            ("Globals/Function/Runtime", "python3.8", "W2531"),
            ("Resources/Table/Properties/KeySchema/0/AttributeName", "id", "E3039"),
            ("Resources/Table/UpdateReplacePolicy", None, "W3011"),
        ],
        [(WORKER + "Role", None, "id [WorkerRole]")],
    ],
    CONTAINER: [
        [
            ("Resources/Worker/Properties/Timeout", 901, "E3717"),
            ("Resources/Worker/Properties/ImageConfig/Comand", ["drain"], "Comand"),
            ("Resources/Work/Properties/ScheduleExpression", None, "ScheduleExpression"),
            ("Globals/Function/VpcConfig/Fn::If/1/SubnetIds", {"Ref": "Nets"}, "E1020"),
        ]
    ],
}


@functools.cache
def said_of(file: Path, look: int) -> list[str]:
    """What the tools say of the mistakes of a look at a template."""
    mistakes = LOOKS[file][look]
    return [*complaints(planted(((path, value) for path, value, _ in mistakes), file))]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("look", "path", "complaint"),
    [(look, path, said) for look, mistakes in enumerate(LOOKS[FILE]) for path, _, said in mistakes],
)
def test_the_tools_find_a_mistake(look: int, path: str, complaint: str) -> None:
    assert any(complaint in line for line in said_of(FILE, look)), path


@pytest.mark.soak
def test_the_template_alone_would_hide_mistakes() -> None:
    """Why what SAM makes of it is looked at, too; if this fails, half of the checks can go."""
    assert lint(plant(BATCHES + "BatchSize", "five")) == []


def test_no_role_may_do_more_than_it_has_to(made: Node) -> None:
    assert too_wide(made) == []
    assert len(list(statements(made))) > 10


STATEMENTS = "Resources/WorkerRole/Properties/Policies/{}/PolicyDocument/Statement/{}/"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (STATEMENTS.format(0, 2) + "Resource", "*"),
        (STATEMENTS.format(0, 2) + "Resource", {"Fn::Sub": "arn:aws:dynamodb:::table/*"}),
        (STATEMENTS.format(0, 2) + "Action", "dynamodb:*"),
        (STATEMENTS.format(0, 2) + "Action", ["dynamodb:GetItem", "*"]),
        (STATEMENTS.format(1, 1) + "Action", ["rekognition:DetectFaces", "rekognition:ListFaces"]),
        (STATEMENTS.format(1, 0) + "Resource/1", "arn:aws:rekognition:::collection/*"),
        (STATEMENTS.format(1, 0) + "Resource/1", "arn:aws:rekognition:::collection/cld-??????"),
        (
            STATEMENTS.format(1, 0) + "Resource/1",
            {"Fn::Sub": "arn:aws:rekognition:::collection/${rekognitionCollection}-*"},
        ),
        (STATEMENTS.format(0, 0) + "NotAction", "iam:CreateUser"),
        ("Resources/WorkerRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", "*"),
        (
            "Resources/WorkerRole/Properties/ManagedPolicyArns",
            ["arn:aws:iam::aws:policy/AmazonRekognitionFullAccess"],
        ),
        ("Resources/ReadSecret/Properties/PolicyDocument/Statement/0/Resource", "*"),
    ],
)
def test_a_permission_that_is_too_wide_is_found(path: str, value: object) -> None:
    mistaken = plant(path.replace("Resource/1", "Resource"), value)
    assert too_wide(transformed(mistaken))


def test_only_what_no_arn_can_be_given_for_is_allowed_everywhere(made: Node) -> None:
    """By Amazon's own list: a misspelt operation, or one too many on "*", is found."""
    import cfnlint  # noqa: PLC0415 - takes a second, and all who collect tests would wait for it

    source = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
    known = json.loads(source.read_text("utf-8"))
    granted = {action for one in statements(made) for action in _actions(one)}
    assert granted >= EVERYWHERE
    for action in granted:
        service, operation = action.lower().split(":")
        kinds = known[service]["Actions"][operation].get("Resources", [])
        assert bool(kinds) == (action not in EVERYWHERE), action


def test_the_worker_may_call_of_rekognition_what_it_calls(made: Node) -> None:
    """No more and no less than what the recogniser's code names."""
    model = botocore.session.get_session().get_service_model("rekognition")
    files = {*Path(rekognition.__path__[0]).glob("*.py")} - {Path(rate.__file__)}  # a list of all
    text = "".join(file.read_text("utf-8") for file in files)
    words = {*re.findall(r'"(\w+)"', text)}
    granted = {action for one in statements(made) for action in _actions(one)}
    assert {f"rekognition:{word}" for word in words & {*model.operation_names}} == {
        action for action in granted if action.startswith("rekognition:")
    }


def _actions(statement: Node) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


def test_a_job_is_neither_lost_nor_handed_out_twice(made: Node) -> None:
    """Hidden as long as AWS advises; a worker gives up before SQS; the dead outlive the living."""
    queue = made["Resources"]["Queue"]["Properties"]
    dead = made["Resources"]["DeadLetters"]["Properties"]
    batches = made["Resources"]["WorkerJobs"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * made["Resources"]["Worker"]["Properties"]["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] > SqsQueue.retries.tries
    assert dead["MessageRetentionPeriod"] == 14 * 86_400 > queue["MessageRetentionPeriod"]
    assert batches["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("name", ["Collection", "Table"])
def test_faces_and_decisions_outlive_the_stack(made: Node, name: str) -> None:
    resource = made["Resources"][name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_table_is_the_one_that_the_ledger_expects(made: Node) -> None:
    table = made["Resources"]["Table"]["Properties"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": EXPIRES, "Enabled": True}


def test_the_routes_are_those_of_serve(made: Node) -> None:
    body = made["Resources"]["Api"]["Properties"]["Body"]
    assert {*body["paths"]} == {*PATHS}
    assert all([*methods] == ["post"] for methods in body["paths"].values())


def test_every_setting_of_the_original_is_a_parameter() -> None:
    """Under its name and with our default; the account is not, it is a secret."""
    parameters = template()["Parameters"]
    for name in ORIGINAL:
        assert parameters[variables(name)[0]]["Default"] == Settings.model_fields[name].default


#: Stands for whatever CloudFormation would put in.
MADE = {"Table": "table-1", "Queue": "https://sqs/1", "DeadLetters": "https://sqs/2"}


def test_the_webhook_is_told_what_it_asks_for_and_no_more(made: Node) -> None:
    """And may do no more than send; the secret may have the settings that are not here."""
    assert {*_environment(made, "Webhook")} == {
        "CLOUDINARY_URL_SECRET", "FACELABEL_LOG_LEVEL", "FACELABEL_QUEUE"
    }  # fmt: skip
    role = made["Resources"]["WebhookRole"]["Properties"]["Policies"]
    actions = [_actions(one) for one in role[0]["PolicyDocument"]["Statement"]]
    assert actions == [["sqs:SendMessage"], ["logs:CreateLogStream", "logs:PutLogEvents"]]


def test_the_worker_takes_its_environment(
    made: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable is a setting's, and all of them go together."""
    settings = _loaded(made, "Worker", tmp_path, monkeypatch)
    assert settings.on_cloudinary
    assert (settings.table, settings.queue) == (MADE["Table"], MADE["Queue"])
    assert settings.rekognition_collection == "cld-rekog"
    assert settings.collection_parameter == "LiveCollection"


def _loaded(
    made: Node, function: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str
) -> Settings:
    """The settings that a function reads, with nothing in them that is none."""
    known = {variable for name in SETTINGS for variable in variables(name)}
    environment = _environment(made, function)
    assert environment.keys() - known == {"CLOUDINARY_URL_SECRET"}
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    for variable, value in environment.items():
        monkeypatch.setenv(variable, _value(made, value))
    for variable, text in more.items():
        monkeypatch.setenv(variable, text)
    return load({"cloudinary_url": "cloudinary://key:secret@cloud"})


def test_the_whole_library_can_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable would mean the default."""
    assert "/ for the whole" in template()["Parameters"]["faceRecognitionFolder"]["Description"]
    monkeypatch.setenv("faceRecognitionFolder", "/")
    assert load().face_recognition_folder == ""


def _value(made: Node, value: Any) -> str:  # noqa: ANN401 - a text, a number or an intrinsic
    match value:
        case {"Ref": name}:
            default = made["Parameters"].get(name, {}).get("Default", name)
            return str(MADE.get(name, default))
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{(\w+)\}", lambda found: MADE[found[1]], text)
        case {"Fn::If": [_, _, otherwise]}:
            return "" if otherwise == {"Ref": "AWS::NoValue"} else _value(made, otherwise)
    return str(value)


def test_the_worker_reads_every_setting_of_the_original(made: Node) -> None:
    environment = _environment(made, "Worker")
    for variable in [variables(name)[0] for name in ORIGINAL]:
        assert environment[variable] == {"Ref": variable}


def test_a_lock_holds_until_the_worker_is_stopped(made: Node) -> None:
    lease = int(_environment(made, "Worker")["FACELABEL_LEASE"])
    assert lease >= made["Resources"]["Worker"]["Properties"]["Timeout"]


@pytest.mark.parametrize("file", [FILE, CONTAINER], ids=["rekognition", "local"])
def test_the_account_is_a_secret(file: Path) -> None:
    """Nothing that whoever looks at the functions could read; and it has to be given."""
    text = file.read_text("utf-8")
    assert "CLOUDINARY_URL:" not in text
    secret = re.search(r"CLOUDINARY_URL_SECRET: !Ref (\w+)", text)
    assert secret
    assert "Default" not in template(file)["Parameters"][secret[1]]


#: Other stacks' collections, and those of a stack whose name begins like ours.
OURS = ["cld-rekog", "cld-rekog-20260102030405"]
OTHERS = ["cld-rekog-dev", "cld-rekog-dev-20260102030405", "cld-rekog-2", "cld-rekog2", "cld",
          "cld-rekog-20260102030405-x", "family"]  # fmt: skip


def collections(made: Node) -> list[str]:
    """Patterns of the collections that the worker may touch."""
    texts = [
        resource["Fn::Sub"]
        for one in statements(made)
        for resource in one["Resource"]
        if isinstance(resource, dict) and ":collection/" in resource.get("Fn::Sub", "")
    ]
    return [
        text.partition(":collection/")[2].replace("${rekognitionCollection}", "cld-rekog")
        for text in texts
    ]


def test_no_stack_may_touch_the_collection_of_another(made: Node) -> None:
    """IAM's wildcards are those of file names; what a rebuild makes is within."""
    patterns = collections(made)
    assert len(patterns) == 2
    reached = [name for name in OURS + OTHERS if any(fnmatchcase(name, p) for p in patterns)]
    assert reached == OURS
    label_policy = Reconciler.of(Bench().pipeline).request_rebuild()
    assert any(fnmatchcase(label_policy, pattern) for pattern in patterns)


def test_who_comes_to_the_address_is_logged_and_nothing_of_what_is_sent(
    made: Node, local: Node
) -> None:
    for resources in (made["Resources"], local["Resources"]):
        stage = resources["ApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]
        assert stage["DestinationArn"] == {"Fn::GetAtt": ["ApiLog", "Arn"]}
        line = json.loads(stage["Format"])
        assert {"from", "route", "status"} <= line.keys()
        assert not re.search("header|query|body|authorizer", stage["Format"])


@pytest.mark.parametrize("file", [FILE, CONTAINER], ids=["rekognition", "local"])
def test_a_key_of_ones_own_is_everywhere_where_one_can_be(file: Path) -> None:
    """Logs, alarm and table; a planted one that lacks it is found."""
    whole = template(file)
    assert unencrypted(whole) == []
    for name, key in unencrypted_by_design(whole):
        mistaken = plant(f"Resources/{name}/Properties/{key}", None, file)
        assert unencrypted(mistaken) == [name]


KEYS = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::DynamoDB::Table": "SSESpecification",
}


def unencrypted_by_design(made: Node) -> list[tuple[str, str]]:
    """Resources that take a key, and the property that does."""
    return [
        (name, KEYS[resource["Type"]])
        for name, resource in made["Resources"].items()
        if resource["Type"] in KEYS
    ]


def unencrypted(made: Node) -> list[str]:
    """Resources that take a key and do not get the parameter's."""
    return [
        name
        for name, key in unencrypted_by_design(made)
        if {"Ref": "DataKey"} not in nodes(made["Resources"][name]["Properties"].get(key, {}))
    ]


def nodes(node: object) -> list[object]:
    """A node and all below it."""
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node, *(deeper for child in below for deeper in nodes(child))]


def test_forgotten_names_can_be_kept_from_coming_back(made: Node) -> None:
    recovery = made["Resources"]["Table"]["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": {"Fn::If": ["Restorable", True, False]}}
    assert made["Conditions"]["Restorable"] == {
        "Fn::Equals": [{"Ref": "PointInTimeRecovery"}, "true"]
    }


def test_the_image_can_be_pinned() -> None:
    """By digest, which is looked up when it is built: it moves with every patch of the base."""
    image = (CONTAINER.parent / "Dockerfile").read_text("utf-8")
    assert "ARG BASE=" in image
    assert "FROM ${BASE}" in image


def _environment(made: Node, function: str) -> Node:
    environment: Node = made["Resources"][function]["Properties"]["Environment"]["Variables"]
    return environment


def test_what_the_schedule_sends_is_the_job_of_serve(made: Node) -> None:
    body = made["Resources"]["Reconciliation"]["Properties"]["Target"]["Input"]
    wanted = JobRequest(JobKind.RECONCILE, RECONCILE_KEY)
    assert json.loads(body) == json.loads(to_message(wanted))


@pytest.fixture(scope="module")
def local() -> Node:
    """Return what CloudFormation makes of the template with the local engine."""
    return transformed(template(CONTAINER))


LOCAL_STATEMENT = "Resources/Role/Properties/Policies/0/PolicyDocument/Statement/{}/"


@pytest.mark.soak
@pytest.mark.parametrize(
    ("path", "complaint"), [(path, said) for path, _, said in LOOKS[CONTAINER][0]]
)
def test_the_tools_find_a_mistake_with_the_local_engine(path: str, complaint: str) -> None:
    assert any(complaint in line for line in said_of(CONTAINER, 0)), path


def test_no_role_with_the_local_engine_may_do_more_than_it_has_to(local: Node) -> None:
    """Everywhere only what Lambda does itself, and that is denied to the functions."""
    assert too_wide(local) == []
    allowed = {action for one in statements(local) if one["Effect"] == "Allow"
               for action in _actions(one)}  # fmt: skip
    denied = [{*_actions(one)} for one in statements(local) if one["Effect"] == "Deny"]
    assert denied == [NETWORK]
    assert allowed - NETWORK == {
        "kms:Decrypt", "lambda:InvokeFunction", "logs:CreateLogStream", "logs:PutLogEvents",
        "secretsmanager:GetSecretValue", "ssm:GetParameter",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (LOCAL_STATEMENT.format(0) + "Resource", "*"),
        (LOCAL_STATEMENT.format(1) + "Resource", "*"),
        (LOCAL_STATEMENT.format(1) + "Action", "ssm:*"),
        (LOCAL_STATEMENT.format(3) + "Fn::If/1/Action", [*NETWORK, "ec2:RunInstances"]),
    ],
)
def test_a_permission_that_is_too_wide_with_the_local_engine_is_found(
    path: str, value: object
) -> None:
    assert too_wide(transformed(plant(path, value, CONTAINER)))


def test_the_local_functions_take_their_environment(
    local: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the image and the secret set."""
    image = (CONTAINER.parent / "Dockerfile").read_text("utf-8")
    baked = dict(re.findall(r"(FACELABEL_(?:FACES|LIBRARY|DATA))=(\S+)", image))
    store = "postgresql://user:password@host/name"
    for function in ("Webhook", "Worker"):
        settings = _loaded(local, function, tmp_path, monkeypatch, **baked, FACELABEL_STORE=store)
        assert (settings.faces, settings.on_cloudinary) == ("local", True)
        assert (settings.store_url, settings.table, settings.queue) == (store, "", "")
        assert settings.data == Path("/tmp/facelabel")  # the only place that can be written


def test_the_commands_are_handlers(made: Node, local: Node) -> None:
    """Of every function, and of the image itself."""
    image = (CONTAINER.parent / "Dockerfile").read_text("utf-8")
    commands = [*re.findall(r'^CMD \["(.+)"\]', image, re.MULTILINE)]
    for resources in (made["Resources"].values(), local["Resources"].values()):
        for one in resources:
            if one["Type"] == "AWS::Lambda::Function":
                properties = one["Properties"]
                image_config = properties.get("ImageConfig", {"Command": []})
                commands += [properties.get("Handler"), *image_config["Command"]]
    found = {command for command in commands if command}
    assert found == {f"facelabel.aws_lambda.{name}" for name in ("webhook", "worker", "drain")}
    assert all(hasattr(aws_lambda, command.rpartition(".")[2]) for command in found)


def test_a_worker_stops_before_it_is_stopped(local: Node) -> None:
    timeout = local["Resources"]["Worker"]["Properties"]["Timeout"]
    assert timeout > 2 * aws_lambda.RESERVE_SECONDS
