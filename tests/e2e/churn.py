"""Clients that change a library all the time and know what it has to hold in the end."""

from __future__ import annotations

import io
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cloudinary import exceptions
from PIL import Image
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.e2e.served import Cloud

SIDE = 32
Color: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Picture:
    """A picture of one colour, with tags."""

    color: Color
    tags: frozenset[str]


#: A client's pictures by public_id.
Pictures: TypeAlias = dict[str, Picture]


def png(color: Color) -> bytes:
    """The file."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), color).save(file, "PNG")
    return file.getvalue()


@dataclass
class Client:
    """Changes pictures of its own, one call after the other."""

    cloud: Cloud
    names: list[str]
    moment: random.Random
    #: What was answered 200, and so has to be there.
    pictures: Pictures = field(default_factory=dict)
    #: What is there as well if the call that got no answer was done.
    after: Pictures = field(default_factory=dict)
    calls: int = 0

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Make calls until it is enough, or one gets no answer; raises if one is an error."""
        while goes_on():
            call, self.after = self._next()
            try:
                call()
            except exceptions.Error as error:
                if _is_answer(error):
                    raise
                return
            self.pictures = self.after
            self.calls += 1

    def seen(self) -> Pictures:
        """What the library delivers, read in the three ways there are."""
        return dict(self._seen())

    def _seen(self) -> Iterator[tuple[str, Picture]]:
        for name in self.names:
            try:
                asset = self.cloud.call("resource", name)
            except exceptions.NotFound:
                continue
            original = _fetched(asset["url"])
            derived = _fetched(asset["url"].replace("/upload/", "/upload/w_8,h_8,c_scale/"))
            assert color_of(original) == color_of(derived)
            assert original == png(color_of(original))
            yield name, Picture(color_of(original), frozenset(asset.get("tags", ())))

    def _next(self) -> tuple[Callable[[], object], Pictures]:
        name = self.moment.choice(self.names)
        picture = self.pictures.get(name)
        rest = {key: value for key, value in self.pictures.items() if key != name}
        if picture is None:
            return self._upload(name, rest)
        change = self.moment.choice(
            [self._upload, self._look, self._tag, self._untag, self._rename, self._delete]
        )
        return change(name, rest)

    def _upload(self, name: str, rest: Pictures) -> tuple[Callable[[], object], Pictures]:
        number = self.moment.randrange(1 << 24)
        new = Picture((number >> 16, number >> 8 & 255, number & 255), frozenset({"new"}))
        file = io.BytesIO(png(new.color))
        return (
            lambda: self.cloud.upload(file, public_id=name, asset_folder="assets", tags=["new"]),
            {**rest, name: new},
        )

    def _look(self, name: str, _: Pictures) -> tuple[Callable[[], object], Pictures]:
        return lambda: self.cloud.call("resource", name), self.pictures

    def _tag(self, name: str, rest: Pictures) -> tuple[Callable[[], object], Pictures]:
        tag, picture = f"tag{self.moment.randrange(4)}", self.pictures[name]
        tagged = Picture(picture.color, picture.tags | {tag})
        return lambda: self.cloud.call("add_tag", tag, [name]), {**rest, name: tagged}

    def _untag(self, name: str, rest: Pictures) -> tuple[Callable[[], object], Pictures]:
        picture = self.pictures[name]
        tag = self.moment.choice([*sorted(picture.tags), "none"])
        untagged = Picture(picture.color, picture.tags - {tag})
        return lambda: self.cloud.call("remove_tag", tag, [name]), {**rest, name: untagged}

    def _rename(self, name: str, rest: Pictures) -> tuple[Callable[[], object], Pictures]:
        to = self.moment.choice(self.names)
        if to == name:
            return self._look(name, rest)
        renamed = {**rest, to: self.pictures[name]}
        return lambda: self.cloud.call("rename", name, to, overwrite=True), renamed

    def _delete(self, name: str, rest: Pictures) -> tuple[Callable[[], object], Pictures]:
        return lambda: self.cloud.call("destroy", name), rest


def color_of(image: bytes) -> Color:
    """The one colour of a picture."""
    with Image.open(io.BytesIO(image)) as opened:
        (_, color), *others = opened.convert("RGB").getcolors() or []
    assert not others
    return color  # type: ignore[return-value]


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        data: bytes = answer.read()
        return data


def _is_answer(error: exceptions.Error) -> bool:
    return not str(error).startswith(("Unexpected error", "Socket error"))
