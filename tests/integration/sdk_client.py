"""The official Python SDK, calling a server of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudinary import uploader

from facelabel.media.types import AssetKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import ApiServer

    from facelabel.core.model import Asset


class Client:
    """The SDK's uploader, aimed at one server."""

    def __init__(self, server: ApiServer) -> None:
        """Never touch the SDK's own configuration: it is one for the whole process."""
        self.server = server

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function of the SDK, with the server's credentials."""
        function = getattr(uploader, name)

        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the SDK's
            answer = function(*args, **(self.server.sdk | options))
            assert answer.pop("request_id")
            return answer

        return call

    def asset(self, public_id: str, **key: str) -> Asset:
        """The asset as it is in the library."""
        asset = self.server.context.media.get(AssetKey(public_id, **key))
        assert asset is not None
        return asset
