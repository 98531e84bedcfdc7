"""What Amazon's model says a request must be, and whether it is; and what it takes for an image.

``model.json`` is made of botocore's own model: nothing in it was typed by hand. A value of the
wrong type is a SerializationException; of the right type and against a constraint, a
ValidationException, which names all that is wrong, in the words that Amazon's services use.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
import struct
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from facelabel.rekognition.error_codes import Refusal, bad_format, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from facelabel.core.model import JsonValue

    #: A checked request: its members have the types the model gives them; a blob is bytes.
    Parameters: TypeAlias = Mapping[str, Any]

#: Characters of a wrong value that are repeated to who sent it.
_ECHO = 500
#: Violations beyond which no more are looked for.
_ENOUGH = 20
#: Java's names of character classes in Python's words. ``\w`` has the underscore besides, which
#: every pattern with a ``\p{L}`` allows anyway.
_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": "",
    r"\p{Z}": "\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}
#: Pixels.
MIN_SIDE = 80
#: Bytes of an image in S3.
MAX_OBJECT = 15 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
#: Markers of JPEG's frames: the 16 of the range but three of other meanings.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers looked at before the frame; of a colour profile alone there may be 255.
_MOST_MARKERS = 4096
#: Markers without a segment: restarts, start of image, the lone TEM.
_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the model with its constraints."""

    type: str
    required: Sequence[str] = ()
    #: Names of the members' shapes by name.
    members: Mapping[str, str] | None = None
    member: str = ""
    key: str = ""
    value: str = ""
    min: float = -math.inf
    max: float = math.inf
    pattern: str = ""
    enum: Sequence[str] = ()

    def fits(self, text: str) -> bool:
        """Whether a text has the pattern, whole."""
        return not self.pattern or bool(_compiled(self.pattern).fullmatch(text))


@dataclass(frozen=True, slots=True)
class Operation:
    """A call."""

    input: str
    output: str
    #: Names of the errors that Amazon declares for it.
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The face operations, and the names of Rekognition's others."""

    operations: Mapping[str, Operation]
    others: frozenset[str]
    shapes: Mapping[str, Shape]


@functools.cache
def model() -> Model:
    """The table, read once."""
    table = json.loads(resources.files(__package__).joinpath("model.json").read_text("utf-8"))
    operations = {
        name: Operation(op["input"], op["output"], tuple(op["errors"]))
        for name, op in table["operations"].items()
    }
    return Model(operations, frozenset(table["others"]), _shapes(table["shapes"]))


def _shapes(table: Mapping[str, dict[str, Any]]) -> dict[str, Shape]:
    return {name: Shape(**shape) for name, shape in table.items()}


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def check(operation: str, request: JsonValue) -> Parameters:
    """The request as the model has it, without the members it does not know.

    Raises:
        Refusal: SerializationException or ValidationException.

    """
    reader = _Reader(model().shapes)
    read = reader.read(model().operations[operation].input, request, "")
    if reader.violations:
        raise _violated(reader.violations)
    assert isinstance(read, dict)
    return read


def unserialisable(message: str) -> Refusal:
    """The request cannot be read."""
    return Refusal("SerializationException", message)


def _violated(violations: list[str]) -> Refusal:
    noun = "error" if len(violations) == 1 else "errors"
    message = f"{len(violations)} validation {noun} detected: {'; '.join(violations)}"
    return Refusal("ValidationException", message)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one request; notes every violation, and where it is."""

    shapes: Mapping[str, Shape]
    violations: list[str] = field(default_factory=list)

    def read(self, name: str, given: JsonValue, path: str) -> object:
        """A value of that shape."""
        if len(self.violations) >= _ENOUGH:
            return None
        shape = self.shapes[name]
        return _READERS[shape.type](self, shape, given, path)

    def structure(self, shape: Shape, given: JsonValue, path: str) -> dict[str, object]:
        """Members that are there and not null."""
        if not isinstance(given, dict):
            raise _unlike(given, "an object")
        members = shape.members or {}
        inner = {name: f"{path}.{name[0].lower()}{name[1:]}".lstrip(".") for name in members}
        for name in shape.required:
            if given.get(name) is None:
                self._note(None, inner[name], "Member must not be null")
        return {
            name: self.read(of, given[name], inner[name])
            for name, of in members.items()
            if given.get(name) is not None
        }

    def sequence(self, shape: Shape, given: JsonValue, path: str) -> list[object]:
        """Every item; too long a list is not looked into."""
        if not isinstance(given, list):
            raise _unlike(given, "a list")
        if not self._is_bounded(shape, len(given), given, path, "length"):
            return []
        return [
            self.read(shape.member, item, f"{path}.{number}.member")
            for number, item in enumerate(given, 1)
        ]

    def mapping(self, shape: Shape, given: JsonValue, path: str) -> dict[object, object]:
        """Every key and value; too large a map is not looked into."""
        if not isinstance(given, dict):
            raise _unlike(given, "a map")
        if not self._is_bounded(shape, len(given), given, path, "length"):
            return {}
        return {
            self.read(shape.key, key, f"{path}.key"): self.read(
                shape.value, value, f"{path}.{key[:_ECHO]}.value"
            )
            for key, value in given.items()
        }

    def text(self, shape: Shape, given: JsonValue, path: str) -> str:
        """A text; one of those of an enumeration."""
        if not isinstance(given, str):
            raise _unlike(given, "a String")
        self._is_bounded(shape, len(given), given, path, "length")
        if not shape.fits(given):
            self._note(
                given, path, f"Member must satisfy regular expression pattern: {shape.pattern}"
            )
        if shape.enum and given not in shape.enum:
            allowed = ", ".join(shape.enum)
            self._note(given, path, f"Member must satisfy enum value set: [{allowed}]")
        return given

    def blob(self, shape: Shape, given: JsonValue, path: str) -> bytes:
        """Base64 of the standard alphabet with its padding, and nothing else in it."""
        if not isinstance(given, str):
            raise _unlike(given, "a Blob")
        try:
            data = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise unserialisable(f"The value at '{path}' is not base64") from None
        buffer = f"java.nio.HeapByteBuffer[pos=0 lim={len(data)} cap={len(data)}]"
        self._is_bounded(shape, len(data), buffer, path, "length")
        return data

    def whole(self, shape: Shape, given: JsonValue, path: str) -> int:
        """A whole number."""
        if isinstance(given, bool) or not isinstance(given, int):
            raise _unlike(given, "an Integer")
        self._is_bounded(shape, given, given, path, "value")
        return given

    def number(self, shape: Shape, given: JsonValue, path: str) -> float:
        """Any number; no NaN gets here."""
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise _unlike(given, "a Float")
        is_bounded = self._is_bounded(shape, given, given, path, "value")
        return float(given) if is_bounded else math.nan

    def _is_bounded(
        self, shape: Shape, size: float, given: JsonValue, path: str, measure: str
    ) -> bool:
        if size < shape.min:
            rule = f"Member must have {measure} greater than or equal to {shape.min}"
        elif size > shape.max:
            rule = f"Member must have {measure} less than or equal to {shape.max}"
        else:
            return True
        self._note(given, path, rule)
        return False

    def _note(self, given: JsonValue, path: str, rule: str) -> None:
        value = "null" if given is None else f"'{_shown(given)}'"
        self.violations.append(f"Value {value} at '{path}' failed to satisfy constraint: {rule}")


_READERS: Mapping[str, Callable[[_Reader, Shape, JsonValue, str], object]] = {
    "structure": _Reader.structure,
    "list": _Reader.sequence,
    "map": _Reader.mapping,
    "string": _Reader.text,
    "blob": _Reader.blob,
    "integer": _Reader.whole,
    "float": _Reader.number,
}


def _shown(given: JsonValue) -> str:
    match given:
        case list():  # one within it may be nested as deeply as JSON goes
            items = ("[...]" if isinstance(item, list) else _shown(item) for item in given[:_ECHO])
            text = f"[{', '.join(items)}]"
        case dict():
            text = f"[{len(given)} members]"
        case int() if given.bit_length() > _ECHO:  # which Python may refuse to write out
            text = "a number too large to show"
        case _:
            text = str(given)
    return text if len(text) <= _ECHO else f"{text[:_ECHO]}..."


def _unlike(given: JsonValue, wanted: str) -> Refusal:
    found = "null" if given is None else _JSON_NAMES[type(given)]
    return unserialisable(f"{found} can not be converted to {wanted}")


_JSON_NAMES: Mapping[type, str] = {
    dict: "START_OBJECT",
    list: "START_ARRAY",
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
}


# ---- images: JPEG and PNG, no side below 80 pixels. Only the headers are read; whether the rest
# can be decoded is for others to find out.


def check_image(image: bytes) -> None:
    """Return if Rekognition would look at it.

    Raises:
        Refusal: InvalidImageFormatException, or InvalidParameterException for a small one.

    """
    try:
        if image.startswith(_PNG):
            width, height = struct.unpack_from(">II", image, 16)
        elif image.startswith(_JPEG):
            width, height = _jpeg_size(image)
        else:
            raise bad_format()
    except (struct.error, IndexError):  # it ends before it says
        raise bad_format() from None
    if min(width, height) < MIN_SIDE:
        raise invalid(f"Image dimensions must be at least {MIN_SIDE} x {MIN_SIDE} pixels")


def _jpeg_size(image: bytes) -> tuple[int, int]:
    """Width and height: from segment to segment, up to the one that describes the frame."""
    place = 2
    for _ in range(_MOST_MARKERS):
        if image[place] != 0xFF:  # noqa: PLR2004 - what every marker begins with
            raise bad_format()
        marker = image[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", image, place + 5)
            return width, height
        if marker == 0xFF:  # noqa: PLR2004 - any number of them may fill the room before a marker
            place += 1
        elif marker in _BARE:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", image, place + 2)[0]
    raise bad_format()
