"""Uploads that can be repeated: the same file again, after a lost answer too, is the same asset.

What Cloudinary cannot take is refused, Rejected, before it is sent and misread.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudinary import uploader

from facelabel.errors import AlreadyExists, Rejected
from facelabel.media.types import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.adapters.cloudinary.catalogue import Catalogue
    from facelabel.adapters.cloudinary.client import Client, Raw, SdkCall
    from facelabel.core.model import Asset

#: Bytes in a second that a line should carry at least.
SLOWEST = 100_000
#: Characters of content hash that tell pictures of one file name apart, and how many such tries.
_SUFFIX = 6
_SUFFIXES = 8
_FORBIDDEN_IN_NAMES = re.compile(r"[?&#\\%<>+\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Picture:
    """What somebody wants to have uploaded."""

    data: bytes = field(repr=False)
    folder: str
    filename: str
    public_id: str | None
    tags: Sequence[str] | None
    context: Mapping[str, str]

    def is_content_of(self, raw: Raw) -> bool:
        """Whether the asset holds this very file.

        An etag is the file's MD5; of our own server, the beginning of its SHA-256.
        """
        md5 = hashlib.md5(self.data, usedforsecurity=False).hexdigest()
        return raw.get("etag") in {md5, self._digest[: len(md5)]}

    def names(self) -> Iterator[str]:
        """The public_ids that it may get, best first.

        The ends that tell pictures of one file name apart come from their content, so that
        whoever uploads a folder twice finds every picture where it was.
        """
        if self.public_id is not None:
            yield self.public_id
            return
        path = "/".join(filter(None, [self.folder, file_stem(self.filename)]))
        name = path[: MAX_NAME - _SUFFIX - 1].rstrip()
        yield name
        for at in range(0, _SUFFIXES * _SUFFIX, _SUFFIX):
            yield f"{name}_{self._digest[at : at + _SUFFIX]}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Uploads:
    """Stores pictures, without a call of the Admin API where the name is free."""

    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        """Uploads to the client's account."""
        self._client = client
        self._catalogue = catalogue

    def store(self, picture: Picture, on_existing: Callable[[], None]) -> Asset:
        """Upload a picture under the first name that is free, or has it already, which is told.

        Of one that stands under the name asked for, the content is replaced.
        """
        for name in picture.names():
            raw = self._send(picture, name, overwrite=False)
            if not raw.get("existing"):
                return self._catalogue.read(raw)
            there = self._complete(raw)
            if picture.is_content_of(there):
                on_existing()
                return self._settled(self._catalogue.read(there), picture)
            if picture.public_id is not None:
                return self._replaced(there, picture, name)
        raise AlreadyExists(f"there are too many pictures of the name {picture.filename!r}")

    def _send(self, picture: Picture, name: str, *, overwrite: bool) -> Raw:
        place: dict[str, Any] = {}
        if self._catalogue.is_dynamic and picture.folder:
            place["asset_folder"] = picture.folder
        if self._catalogue.is_dynamic and picture.filename:
            place["display_name"] = file_stem(picture.filename)
        return self._client.upload(
            uploader.upload,
            picture.data,
            public_id=name,
            overwrite=overwrite,
            invalidate=overwrite,
            filename=picture.filename or name.rpartition("/")[2],
            tags=list(picture.tags or ()),
            context=checked_context(picture.context) or None,
            wait=len(picture.data) / SLOWEST,
            **place,
        )

    def _complete(self, raw: Raw) -> Raw:
        """The answer about an asset that stands there, asked for anew if it is a short one."""
        if {"etag", "tags"} <= raw.keys():
            return raw
        return self._catalogue.details(raw["asset_id"]) or raw

    def _replaced(self, former: Raw, picture: Picture, name: str) -> Asset:
        """Replace the content; what the account clears from it by doing so is put back."""
        old = self._catalogue.read(former)
        picture = replace(
            picture,
            filename=picture.filename or old.filename,
            context={**old.context, **picture.context},
        )
        raw = self._send(picture, name, overwrite=True)
        new = self._catalogue.read(raw)
        if picture.tags is None:
            self._add_tags(new, old.tags)
        new = self._settled(new, picture)
        still = raw.get("metadata") or {}
        lost = {k: v for k, v in (former.get("metadata") or {}).items() if k not in still}
        if lost:
            self._change(new, uploader.update_metadata, lost)
        return replace(
            new,
            tags=new.tags if picture.tags is not None else _union(new.tags, old.tags),
            metadata={**old.metadata, **new.metadata},
        )

    def _settled(self, asset: Asset, picture: Picture) -> Asset:
        """Give an asset the tags and the context that were asked for.

        Of one that was named, the tags are replaced; one that was found gets them in addition.
        """
        tags = asset.tags if picture.tags is None else tuple(picture.tags)
        if picture.public_id is None:
            tags = _union(asset.tags, tags)
            self._add_tags(asset, tags)
        elif {*tags} != {*asset.tags}:
            self._replace_tags(asset, tags)
        context = {k: v for k, v in picture.context.items() if asset.context.get(k) != v}
        if context:
            self._change(asset, uploader.add_context, checked_context(context))
        return replace(asset, tags=tags, context={**asset.context, **context})

    def _add_tags(self, asset: Asset, tags: Sequence[str]) -> None:
        missing = [tag for tag in tags if tag not in asset.tags]
        if missing:
            self._change(asset, uploader.add_tag, missing)

    def _replace_tags(self, asset: Asset, tags: Sequence[str]) -> None:
        if tags:
            self._change(asset, uploader.replace_tag, list(tags))
        else:
            self._client.upload(uploader.remove_all_tags, [asset.public_id], type=asset.type)

    def _change(self, asset: Asset, command: SdkCall, values: object) -> None:
        self._client.upload(command, values, [asset.public_id], type=asset.type)


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def checked_tags(texts: Iterable[str]) -> list[str]:
    """The tags, each once: the same tag twice in one call is answered with a server error."""
    return list(dict.fromkeys(_tag(text) for text in texts))


def checked_context(values: Mapping[str, str]) -> dict[str, str]:
    """Contextual metadata with its keys escaped; the SDK escapes the values."""
    for key, value in values.items():
        if value.endswith("\\"):  # it would take the meaning from the separator behind it
            raise Rejected(f"the context {key!r} may not end with a backslash")
    return {_context_key(key): value for key, value in values.items()}


def file_stem(filename: str) -> str:
    """The file name without folders and ending, fit to be part of a public_id."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", filename)[-1])
    stem = _FORBIDDEN_IN_NAMES.sub("_", name.rpartition(".")[0] or name).strip()
    return stem if stem.strip(".") else "image"


def _tag(text: str) -> str:
    if not text.strip():
        raise Rejected("a tag is empty")
    if "," in text:
        raise Rejected(f"a tag may not contain a comma, at which Cloudinary splits tags: {text!r}")
    if len(text) > MAX_NAME:
        raise Rejected(f"a tag is longer than {MAX_NAME} characters: {text[:40]}…")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Rejected(f"a tag has a control character in it: {text!r}")
    return text


def _context_key(key: str) -> str:
    if not key.strip() or key.endswith("\\"):
        raise Rejected(f"{key!r} is no key of contextual metadata")
    return key.replace("=", r"\=").replace("|", r"\|")
