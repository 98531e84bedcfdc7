"""One DynamoDB table of items under two string keys: what the stores say to it.

Every read is consistent and there is no secondary index: an index lags behind, and a search that it
does not show yet would never be looked at again. What is to be found in another way than by its key
has a small item of its own there, written in the same transaction.

Lines of the ledger are small bytes, because DynamoDB bills kilobytes and takes 400 at most.

The name of the live collection is also outside the table, in a parameter of SSM: a table that is
lost can be made anew from the collection and the library, by whoever knows which collection. The
parameter is written before the table: after a crash in between, the table still has the old name
and everybody goes by the table, so the rebuild that is tried again switches once more, and both
have the new one. The old collection is deleted only afterwards.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from facelabel.adapters.aws import clients
from facelabel.core.clock import backoff
from facelabel.core.model import Enrolment, NameState
from facelabel.core.serial import decode_search, encode_search
from facelabel.errors import FacelabelError, QuotaExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.core.model import Json, SearchRecord

T = TypeVar("T")
Key = tuple[str, str]
Value = str | int | float | bytes | frozenset[str]
Item = dict[str, Any]

#: Attribute by which DynamoDB deletes items that are over (its time to live), epoch seconds.
EXPIRES = "expires"
#: Changes of one transaction.
MOST_CHANGES = 100
#: Before the names among the attributes of an item.
NAME = "name:"
#: Keys of one BatchGetItem.
_KEYS = 100
#: Times that a change is tried whose grounds others keep changing: 2 seconds or so.
_TRIES = 12
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25
_CONFLICT = "TransactionConflict"
_FAILED = "ConditionalCheckFailed"

NONE: Mapping[str, Value] = MappingProxyType({})
#: Bytes of a packed search: an item may have 400 kB, keys and numbers included.
MOST = 390_000
#: How many candidates of each face stay where all of them are too much.
_FEWER = (10, 2)
_MISSING = "ParameterNotFound"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one item, with the condition under which it may be made."""

    #: As TransactWriteItems calls it: Put, Update, Delete, ConditionCheck.
    kind: str
    key: Key
    item: Mapping[str, Value] = field(default_factory=dict)
    update: str = ""
    condition: str = ""
    #: What ``:placeholders`` in the expressions stand for …
    values: Mapping[str, Value] = field(default_factory=dict)
    #: … and ``#placeholders``.
    names: Mapping[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The parameters of the call, less the table."""
        place = {"pk": self.key[0], "sk": self.key[1]}
        put = self.kind == "Put"
        parameters = {
            "Item" if put else "Key": _typed({**self.item, **place} if put else place),
            "UpdateExpression": self.update,
            "ConditionExpression": self.condition,
            "ExpressionAttributeValues": _typed({f":{n}": v for n, v in self.values.items()}),
            "ExpressionAttributeNames": {f"#{n}": name for n, name in self.names.items()},
        }
        return {name: value for name, value in parameters.items() if value}


def put(
    key: Key, item: Mapping[str, Value], condition: str = "", values: Mapping[str, Value] = NONE
) -> Change:
    """Write a whole item."""
    return Change("Put", key, item=item, condition=condition, values=values)


def update(
    key: Key, expression: str, condition: str = "", values: Mapping[str, Value] = NONE
) -> Change:
    """Change some of an item, which is made if it is not there."""
    return Change("Update", key, update=expression, condition=condition, values=values)


def delete(key: Key, condition: str = "", values: Mapping[str, Value] = NONE) -> Change:
    """Delete an item; one that is not there is no error."""
    return Change("Delete", key, condition=condition, values=values)


def check(key: Key, condition: str, values: Mapping[str, Value]) -> Change:
    """Change nothing, but let nobody else change what the condition is about."""
    return Change("ConditionCheck", key, condition=condition, values=values)


class Table:
    """The table behind a client of botocore; may be shared between threads."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - botocore makes its classes at run time
        """Use this client, for the table of that name with the keys ``pk`` and ``sk``."""
        self._client = client
        self.name = name
        self._title = f"the DynamoDB table {name!r}"

    def get(self, key: Key) -> Item | None:
        """Return an item."""
        answer = self._call("get_item", Key=_typed({"pk": key[0], "sk": key[1]}))
        return _plain(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Return the items there are, by key, in the order of the keys."""
        wanted = dict.fromkeys(keys)
        found: dict[Key, Item] = {}
        for some in chunks(wanted, _KEYS):
            for item in self._batch(some):
                found[item["pk"], item["sk"]] = item
        return {key: found[key] for key in wanted if key in found}

    def query(
        self, pk: str, prefix: str = "", *, below: str = "", page: int | None = None
    ) -> Iterator[Item]:
        """Items of a partition by sort key, with this ``prefix``, or those ``below`` a sort key.

        They are read as they are taken, ``page`` at a time where that is given.
        """
        bound, value = ("sk < :sk", below) if below else ("begins_with(sk, :sk)", prefix)
        request: dict[str, Any] = {
            "KeyConditionExpression": f"pk = :pk AND {bound}" if value else "pk = :pk",
            "ExpressionAttributeValues": _typed({":pk": pk} | ({":sk": value} if value else {})),
        }
        if page:
            request["Limit"] = page
        while True:
            answer = self._call("query", **request)
            yield from map(_plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def write(self, change: Change) -> bool:
        """Make one change; False if its condition does not hold."""
        made: bool | None = None
        for _ in attempts(self._title):
            made = self._made(change)
            if made is not None:
                break
        return bool(made)

    def transact(self, changes: Sequence[Change]) -> bool:
        """Make all changes (of one item each, 100 at most) or none.

        False if a condition does not hold or somebody else was changing an item: to be judged
        again, see :func:`attempts`.
        """
        table = {"TableName": self.name}
        request = [{change.kind: {**table, **change.request()}} for change in changes]
        try:
            with clients.translated(self._title):
                self._client.transact_write_items(TransactItems=request)
        except ClientError as error:
            if clients.Refusal.of(error).code != "TransactionCanceledException":
                raise
            trouble = self._trouble(error.response.get("CancellationReasons", []))
            if trouble:
                raise trouble from error
            return False
        return True

    def _made(self, change: Change) -> bool | None:
        """Whether the change was made; None if a transaction was in its way."""
        verb = f"{change.kind.lower()}_item"
        try:
            with clients.translated(self._title):
                getattr(self._client, verb)(TableName=self.name, **change.request())
        except ClientError as error:
            reason = clients.Refusal.of(error).code.removesuffix("Exception")
            if reason not in {_FAILED, _CONFLICT}:
                raise
            return False if reason == _FAILED else None
        return True

    def _trouble(self, reasons: Iterable[Mapping[str, str]]) -> FacelabelError | None:
        """What cancelled a transaction, unless others did."""
        codes = {reason.get("Code", "None") for reason in reasons} - {"None", _FAILED, _CONFLICT}
        for name in codes:
            meaning = clients.Refusal(name).meaning_for_store(self._title)
            return meaning or FacelabelError(f"{self._title}: {name}")
        return None

    def _batch(self, keys: Sequence[Key]) -> Iterator[Item]:
        wanted = [_typed({"pk": pk, "sk": sk}) for pk, sk in keys]
        for _ in attempts(self._title):
            request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
            with clients.translated(self._title):
                answer = self._client.batch_get_item(RequestItems=request)
            yield from map(_plain, answer["Responses"].get(self.name, []))
            wanted = answer["UnprocessedKeys"].get(self.name, {}).get("Keys", [])
            if not wanted:
                return

    def _call(self, operation: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        with clients.translated(self._title):
            return getattr(self._client, operation)(
                TableName=self.name, ConsistentRead=True, **request
            )


def attempts(title: str) -> Iterator[int]:
    """Number the times that something is tried, with pauses; Unavailable after the last."""
    for number in range(_TRIES):
        if number:
            time.sleep(backoff(number, _FIRST_PAUSE, _LONGEST_PAUSE))
        yield number
    raise Unavailable(f"{title}: too many others change the same items")


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values, so many at a time."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def _typed(item: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Value) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case frozenset():
            return {"SS": sorted(value)}
        case _:
            return {"N": repr(value)}


def _plain(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: _value(*next(iter(typed.items()))) for name, typed in item.items()}


def _value(kind: str, value: Any) -> Value:  # noqa: ANN401 - JSON
    match kind:
        case "N":
            return float(value) if set(value) & set(".eE") else int(value)
        case "SS":
            return frozenset(value)
        case "B":
            return bytes(value)
        case _:
            return str(value)


def pack_search(search: SearchRecord) -> bytes:
    """A search as bytes, :data:`MOST` at most; a huge one loses what explains it least.

    First the candidates far from winning, then the faces that were not looked at.
    """
    for smaller in _smaller(search):
        data = zlib.compress(_dump(encode_search(smaller)))
        if len(data) <= MOST:
            return data
    raise QuotaExceeded(f"{search.public_id}: {len(search.faces)} faces are too many to record")


def unpack_search(data: bytes) -> SearchRecord:
    """The search that :func:`pack_search` made these bytes of."""
    return decode_search(json.loads(zlib.decompress(data)))


def write_enrolment(enrolment: Enrolment) -> str:
    """An enrolment as a line of text; equal ones are equal lines."""
    return _dump(asdict(enrolment)).decode("ascii")


def read_enrolment(line: str) -> Enrolment:
    """The enrolment of a line."""
    data = json.loads(line)  # a newer version may have put more into it
    return Enrolment(**{field.name: data[field.name] for field in fields(Enrolment)})


def read_states(names: Item | None) -> dict[str, NameState]:
    """Names of a picture and their states; each is an attribute that begins with :data:`NAME`."""
    return {
        name.removeprefix(NAME): NameState(state)
        for name, state in sorted((names or {}).items())
        if name.startswith(NAME)
    }


def _smaller(search: SearchRecord) -> Iterator[SearchRecord]:
    yield search
    for count in _FEWER:
        faces = tuple(replace(f, candidates=f.candidates[:count]) for f in search.faces)
        yield replace(search, faces=faces)
    yield replace(search, faces=faces, left_out=())


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


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
            with clients.translated(self._title):
                answer = self._client.get_parameter(Name=self._parameter)
        except ClientError as error:
            if clients.Refusal.of(error).code != _MISSING:
                raise
            return None
        return str(answer["Parameter"]["Value"])

    def write(self, collection: str) -> None:
        """Set the name."""
        with clients.translated(self._title):
            self._client.put_parameter(
                Name=self._parameter, Value=collection, Type="String", Overwrite=True
            )
