"""Who gets in at ``facelabel serve``, and who gets to see the keys."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import cloudinary.utils
import pytest
from tests.e2e.served import Cloud, Served, free_port, serving, status, text_of
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program


def on_a_terminal(program: Program, *arguments: str, shows: bytes, makes: Path) -> str:
    """What a command shows on a terminal until that text and file are there; then Ctrl-C."""
    ours, theirs = pty.openpty()
    with io.FileIO(ours) as screen:
        process = subprocess.Popen(
            program.command(*arguments, interrupted=True), env=program.environment,
            cwd=program.folder, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
        )  # fmt: skip
        os.close(theirs)
        try:
            shown = _read(screen, shows)
            until(makes.exists)
            process.send_signal(signal.SIGINT)
            shown += _read(screen)
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
    return shown.decode()


def _read(screen: io.FileIO, text: bytes | None = None) -> bytes:
    """What is shown until that text comes, or until the program has ended."""
    shown = b""
    while text is None or text not in shown:
        readable, _, _ = select.select([screen], [], [], PATIENCE)
        assert readable, shown
        try:
            shown += screen.read(4096)
        except OSError:  # nobody has the terminal open any more
            assert text is None, shown
            break
    return shown


def test_the_keys_are_shown_once_on_a_terminal_and_never_in_a_file(program: Program) -> None:
    with serving(program):
        pass
    log = text_of(program.folder / "serve.log")
    (key,) = program.json("keys", "list")
    secret = key["cloudinary_url"].partition("@")[0].rpartition(":")[2]
    assert secret not in log
    assert "`facelabel keys` shows the keys" in log
    port = str(free_port())
    noted = program.folder.parent / "data" / "keys.shown"
    first = on_a_terminal(program, "serve", "--port", port, shows=b"upload_prefix=", makes=noted)
    assert secret in first
    second = on_a_terminal(program, "serve", "--port", port, shows=b"Ctrl-C ends", makes=noted)
    assert secret not in second


def test_the_key_file_is_private(program: Program) -> None:
    (shown,) = program.json("keys", "list")  # made at the first need
    file = program.folder.parent / "data" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())[0]["key"] == shown["key"]


def test_keys_are_rotated_while_the_server_runs(program: Program, photos: Path) -> None:
    with serving(program) as served:
        old = served.cloud()
        added = program.json("keys", "add")["cloudinary_url"]
        new = Cloud.of(added.replace(":8765", f":{served.port}"))
        for cloud in (old, new):
            cloud.upload(str(photos / "people" / "Obama1.jpg"), asset_folder="x")
        program("keys", "remove", old.options["api_key"])
        with pytest.raises(cloudinary.exceptions.AuthorizationRequired):
            old.upload(str(photos / "people" / "Obama1.jpg"))
        with pytest.raises(cloudinary.exceptions.AuthorizationRequired):
            old.call("ping")
        assert new.call("ping")["status"] == "ok"


def test_a_port_that_is_taken_is_said_to_be(program: Program) -> None:
    with serving(program) as served:
        said = program("serve", "--port", str(served.port), status=2)
    assert f"cannot listen on 127.0.0.1 port {served.port}" in said


def test_beyond_this_computer_nobody_comes_in_without_keys(program: Program) -> None:
    program("keys")
    (program.folder.parent / "data" / "keys.json").write_text("[]")
    said = program("serve", "--host", "0.0.0.0", "--port", str(free_port()), status=2)
    assert "there is no key: `facelabel keys add`" in said


def test_beyond_this_computer_pictures_are_delivered_by_signed_urls(
    program: Program, photos: Path
) -> None:
    program.environment["FACELABEL_HOST"] = "0.0.0.0"
    with serving(program) as served:
        near = {"upload_prefix": served.url, "cname": f"127.0.0.1:{served.port}"}
        cloud = Cloud({**served.cloud().options, **near})
        uploaded = cloud.upload(str(photos / "people" / "Obama1.jpg"), public_id="obama")
        plain, signed = (delivery_url(cloud, uploaded, sign_url=sign) for sign in (False, True))
        assert (status(plain), status(signed)) == (401, 200)
        assert status(f"{served.url}/v1_1/local/resources/image") == 401
        assert status(f"{served.url}/v1_1/local/ping") == 401
        assert status(f"{served.url}/health") == 200


def delivery_url(cloud: Cloud, asset: dict[str, object], *, sign_url: bool) -> str:
    """Where the SDK says that a picture is."""
    url, _ = cloudinary.utils.cloudinary_url(
        asset["public_id"], version=asset["version"], format="jpg", sign_url=sign_url,
        secure=False, cname=cloud.options["cname"], cloud_name="local",
        api_secret=cloud.options["api_secret"],
    )  # fmt: skip
    return str(url)


def test_a_page_that_points_its_own_name_at_us_is_refused(program: Program) -> None:
    with serving(program) as served:
        assert host(served, "evil.example") == 421
        for name in ("127.0.0.1", "localhost", f"localhost:{served.port}", "[::1]:80"):
            assert host(served, name) == 200


def host(served: Served, name: str) -> int:
    """What a request under that host name is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", "/health", headers={"Host": name})
        return connection.getresponse().status


def test_a_proxy_on_this_computer_brings_nobody_in(program: Program) -> None:
    """Everything listens on loopback, and the internet comes through."""
    program.environment["FACELABEL_PUBLIC_URL"] = "https://faces.example.com"
    call = {"X_Amz_Target": "RekognitionService.ListCollections"}
    with serving(program) as served:
        for through in (
            {"Host": "faces.example.com", "X_Forwarded_For": "203.0.113.9"},
            {"Host": "faces.example.com"},
            {"Host": f"127.0.0.1:{served.port}"},
        ):
            assert status(served.url, b"{}", **call, **through) == 403
            assert status(f"{served.url}/local/image/upload/x.jpg", None, **through) == 401
            assert status(f"{served.url}/healthz", None, **through) == 200


def test_ctrl_c_ends_it(program: Program) -> None:
    with serving(program) as served:
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(PATIENCE) == 0
    assert "Traceback" not in text_of(program.folder / "serve.log")
