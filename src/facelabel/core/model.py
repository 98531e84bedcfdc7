"""The words of the product: frozen values, no input or output.

Units throughout: coordinates are ratios of the *upright* image's width and height and may leave
0..1 at the edges (as Amazon Rekognition's do); similarity, confidence, sharpness and brightness
run from 0 to 100; angles are degrees; times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Json: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Asset:
    """A picture in the library, in Cloudinary's words."""

    asset_id: str
    public_id: str
    #: Path of the folder it lies in, without leading or trailing slash; "" is the root.
    folder: str
    #: Grows with every upload of new content under the same public_id.
    version: int
    format: str
    bytes: int
    #: MD5 (Cloudinary) or SHA-256 (local library) of the original file, hexadecimal.
    etag: str
    width: int = 0
    height: int = 0
    created_at: float = 0.0
    filename: str = ""
    resource_type: str = "image"
    type: str = "upload"
    tags: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    display_name: str = ""
    #: Structured metadata by the field's external_id; of a set field a list of values. A value
    #: of a list field is its label, such as a person's name, not its external_id.
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    #: Whatever else a media library keeps: face_coordinates, moderation …
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    updated_at: float = 0.0

    def in_folder(self, root: str) -> bool:
        """Whether the asset lies in ``root`` or below, compared by path segment."""
        root = root.strip("/")
        return not root or self.folder == root or self.folder.startswith(root + "/")


@dataclass(frozen=True, slots=True)
class Box:
    """A face's bounding box, as ratios of the upright image."""

    left: float
    top: float
    width: float
    height: float


class Reason(enum.StrEnum):
    """Why a face was left out or is too poor to enrol, in Rekognition's words."""

    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head points: positive yaw to the viewer's right, pitch up, roll clockwise."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture."""

    box: Box
    #: Left eye, right eye, nose, left and right mouth corner (the viewer's left), as (x, y) ratios.
    landmarks: tuple[tuple[float, float], ...]
    confidence: float
    sharpness: float
    brightness: float
    pose: Pose
    #: Empty when the face is good enough to enrol.
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A face with its embedding: what the engine makes of it and the gallery keeps."""

    face: Face
    #: Unit vector, little-endian float32; comparable only within one model.
    vector: bytes
    #: How long the vector of each embedder was before it was scaled to one: the less an embedder
    #: makes of a face, the shorter. Empty in what was stored before this was kept.
    norms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the engine found in one picture, largest face first."""

    width: int
    height: int
    templates: tuple[Template, ...]
    #: Faces beyond the limit: found, not embedded, each with its reason.
    left_out: tuple[Face, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One reference face that resembles a searched face."""

    face_id: str
    person: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One person a searched face may be, and the reference face that speaks most for it."""

    person: str
    similarity: float
    face_id: str


@dataclass(frozen=True, slots=True)
class ProbeFace:
    """A face of a picture with the reference faces nearest to it, best first."""

    face: Face
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a recogniser saw in one picture."""

    faces: tuple[ProbeFace, ...]
    left_out: tuple[Face, ...]
    #: Engine and model that compared, for example "facelabel mobilefacenet/1".
    model: str
    #: Calls that somebody is paid for; none where it was remembered, or seen on this computer.
    calls: int = 0
    #: How many reference faces there were; None where it is not known how often strangers reach a
    #: similarity.
    portraits: int | None = None
    #: The recogniser's own words for what of the gallery this depends on; None where it cannot
    #: tell later whether it would see the same again.
    note: bytes | None = None


class Verdict(enum.StrEnum):
    """Why a face got its name, or none."""

    NAMED = "named"
    NO_CANDIDATE = "nobody known resembles this face"
    BELOW_THRESHOLD = "below the threshold"
    SUGGESTED = "alike, but among so many people a stranger might be, too"
    AMBIGUOUS = "the runner-up is too close"
    TAKEN = "that person is already in this picture with a better match"
    REFUSED = "a person said it is not them"


@dataclass(frozen=True, slots=True)
class FaceDecision:
    """A searched face with the decision about it and everything that explains it."""

    face: Face
    #: None where nobody is named.
    name: str | None
    #: Why it got that name, or none.
    verdict: Verdict
    #: Best people first; the first one is the name where there is one.
    candidates: tuple[Candidate, ...] = ()

    @property
    def box(self) -> Box:
        """Where the face is."""
        return self.face.box

    @property
    def similarity(self) -> float | None:
        """How like :attr:`best` it is, 0..100; None where there is nobody to compare with."""
        return self.candidates[0].similarity if self.candidates else None

    @property
    def best(self) -> Candidate | None:
        """The candidate the verdict speaks of."""
        return self.candidates[0] if self.candidates else None

    @property
    def runner_up(self) -> Candidate | None:
        """The next person after :attr:`best`."""
        return self.candidates[1] if len(self.candidates) > 1 else None


@dataclass(frozen=True, slots=True)
class Identification:
    """Who is on a picture that was not stored. Goes through its faces, largest first."""

    faces: tuple[FaceDecision, ...]
    #: Faces that were found and not compared, each with its reasons.
    left_out: tuple[Face, ...]
    #: Engine and model that compared, for example "facelabel opencv-zoo/2".
    model: str
    #: Calls that somebody is paid for.
    calls: int = 0
    #: How many portraits they were compared with; None where that does not count.
    portraits: int | None = None

    def __iter__(self) -> Iterator[FaceDecision]:
        return iter(self.faces)

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who was recognised, by the alphabet."""
        return tuple(sorted(face.name for face in self.faces if face.name))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known."""

    name: str
    #: public_ids of the pictures that the face was learnt from.
    portraits: tuple[str, ...]


def asset_hash(asset_id: str) -> str:
    """Return 16 hexadecimal digits that stand for an asset where its id has no room."""
    return hashlib.blake2b(asset_id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A reference face in a collection."""

    face_id: str
    person: str
    #: asset_id of the image it was learnt from, where the recogniser knows it.
    asset_id: str | None = None
    #: :func:`asset_hash` of that id, where the recogniser knows no more.
    asset_hash: str | None = None

    def is_of(self, asset_id: str) -> bool:
        """Whether it was learnt from this asset."""
        return self.asset_id == asset_id or self.asset_hash == asset_hash(asset_id)

    @property
    def is_traced(self) -> bool:
        """Whether it is known to come from an asset; others' programs may add faces, too."""
        return self.asset_id is not None or self.asset_hash is not None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The ledger's line for one training image: which face of the collection it stands for."""

    asset_id: str
    public_id: str
    version: int
    #: Content of the image; equal digests are the same picture.
    digest: str
    person: str
    face_id: str


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """The ledger's line for one searched picture."""

    asset_id: str
    public_id: str
    version: int
    collection: str
    #: Of the gallery, read before the search: a later change makes the search stale.
    generation: int
    #: Threshold and margin the names were decided with.
    rules: str
    model: str
    faces: tuple[FaceDecision, ...]
    left_out: tuple[Face, ...] = ()
    searched_at: float = 0.0
    #: How many reference faces there were; None where that did not count.
    portraits: int | None = None

    @property
    def names(self) -> frozenset[str]:
        """Everyone who was recognised."""
        return frozenset(face.name for face in self.faces if face.name)

    @property
    def candidates(self) -> frozenset[Candidate]:
        """Everyone whom one of the faces resembled, and by which reference face."""
        return frozenset(candidate for face in self.faces for candidate in face.candidates)

    @property
    def winners(self) -> frozenset[str]:
        """The reference faces that gave the names: face_ids."""
        return frozenset(face.best.face_id for face in self.faces if face.name and face.best)

    def remembered(self, existing_faces: Collection[str]) -> ProbeResult:
        """What the search saw, without the reference faces that do not stand any more."""
        faces = (
            ProbeFace(
                named.face,
                tuple(
                    Hit(candidate.face_id, candidate.person, candidate.similarity)
                    for candidate in named.candidates
                    if candidate.face_id in existing_faces
                ),
            )
            for named in self.faces
        )
        return ProbeResult(tuple(faces), self.left_out, self.model, portraits=self.portraits)


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What the ledger knows of the gallery as a whole."""

    #: The live collection, None before the first one.
    collection: str | None = None
    #: How often the gallery changed.
    generation: int = 0
    #: Whether it was begun by a program that asks more of a face where many are known. In older
    #: ones the threshold alone counts, until their owner wants it otherwise.
    weighs_strangers: bool = False
    #: By what names are decided, whatever a process has in its settings: the fingerprint of rules
    #: and places. None while nobody said so: then by its settings.
    rules: str | None = None
    #: The same as the settings asked for it when that was said, without what was meant for one run.
    configured: str | None = None
    #: By what people are learnt, whatever a process has in its settings: folders and labels. None
    #: while nobody said so: then by its settings.
    learning: str | None = None
    #: The same as the settings asked for it when that was said.
    learning_configured: str | None = None


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the ledger knows of an asset, and of the gallery, as of one moment."""

    gallery: GalleryState
    #: The asset's enrolment in the live collection.
    enrolment: Enrolment | None = None
    #: Whom a process that died in between was enrolling from it, in the live collection.
    intention: str | None = None
    #: Whether the live collection has faces that are still to be forgotten.
    has_faces_to_delete: bool = False
    search: SearchRecord | None = None
    #: The names we wrote to it or are forbidden to write.
    marks: Mapping[str, NameState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a search rests on: while that stands, searching again would decide the same."""

    #: Of the sighting: :attr:`ProbeResult.note`.
    note: bytes
    #: Of the decision: it is the same for each similarity that a name may take above this one …
    below: float
    #: … and up to this one.
    upto: float


@dataclass(frozen=True, slots=True)
class Noted:
    """A search of which it may be known that it stands."""

    asset_id: str
    version: int
    note: bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """Which searches may be found to stand: stale ones, in one collection, by the same rules."""

    #: What they are to be brought to.
    generation: int
    collection: str
    rules: str


class NameState(enum.StrEnum):
    """Whose a name on a picture is; the first three are names that we put there."""

    WRITING = "writing"
    WRITTEN = "written"
    REMOVING = "removing"
    #: A person took it away from one place; we are taking it away from the others.
    REFUSING = "refusing"
    REFUSED = "refused"


#: That many, or that part of all, may be gone without anybody asking back.
FEW_GONE: Final = 10
PART_GONE: Final = 0.1


def deletion_limit(known: int) -> float:
    """How many of so many known things may vanish unasked.

    More, and it is more likely that somebody looks at the wrong place.
    """
    return max(FEW_GONE, known * PART_GONE)
