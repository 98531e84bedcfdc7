"""What stands behind Cloudinary's wire format: an inbox for notifications, and a renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.cloudinary.transformations import Regions, Rendered, Transformation
    from facelabel.media.types import Delivery


class Inbox(Protocol):
    """Where verified notifications go."""

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Enqueue the jobs of each delivery that did not come before; on return all is on disk."""


class Renderer(Protocol):
    """Makes other images of an image."""

    def price(self, transformation: Transformation, size: tuple[int, int]) -> int:
        """Nanoseconds of work, roughly, for an image of that size; Rejected where it is too much.

        Too large for what is made counts as too much. Nothing is decoded.
        """

    def render(
        self, data: bytes, transformation: Transformation, regions: Regions | None = None
    ) -> Rendered:
        """Apply a transformation; Rejected for what is not supported, UnreadableImage.

        ``regions``: what is known of the image; without it faces are looked for where needed.
        """
