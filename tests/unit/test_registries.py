"""No file of ours says where packages come from: that is whoever installs to decide."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Hosts of package registries, in pieces: this file is looked at, too.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pypi", "python", "org"), ("pythonhosted", "org"), ("anaconda", "org"),
        ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"), ("jsr", "io"), ("unpkg", "com"),
        ("crates", "io"), ("proxy", "golang", "org"), ("rubygems", "org"), ("nuget", "org"),
        ("packagist", "org"), ("maven", "org"), ("maven", "apache", "org"),
        ("docker", "io"), ("hub", "docker", "com"), ("ghcr", "io"), ("quay", "io"), ("gcr", "io"),
        ("deb", "debian", "org"), ("security", "debian", "org"), ("archive", "ubuntu", "com"),
        ("dl-cdn", "alpinelinux", "org"), ("cdn", "jsdelivr", "net"),
    )
]  # fmt: skip
FOUND = re.compile(
    rf"(?<![\w-])({'|'.join(map(re.escape, HOSTS))})(?![\w-])"
    # … or any other that an installer is pointed to, and what npm notes down.
    r"|(index-url|index_url|registry|\"resolved\")[\"'\s]*[=:\s][\"'\s]*https?://",
    re.IGNORECASE,
)
MIRROR = "https://mirror.example"


def tracked() -> list[Path]:
    """Every file of the repository."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: nobody knows which files are ours")
    listed = subprocess.run(
        [git, "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_names_a_package_registry() -> None:
    files = [path for path in tracked() if path.is_file()]
    assert len(files) > 100
    named = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        for match in FOUND.finditer(path.read_text("utf-8", errors="replace"))
    }
    assert named == set()


@pytest.mark.parametrize(
    "planted",
    [
        *(f"see https://{host}/project/x/" for host in HOSTS),
        *(f"files.{host}" for host in HOSTS[:3]),
        f"pip install --index-url {MIRROR}/simple x",
        f"registry={MIRROR}/npm/",
        f'"resolved": "{MIRROR}/x.tgz"',
    ],
)
def test_a_registry_that_is_named_is_found(planted: str) -> None:
    assert FOUND.search(planted)


@pytest.mark.parametrize("good", ["a pypi package", "example.org", "notdocker.io", "pip install x"])
def test_what_names_none_is_left_alone(good: str) -> None:
    assert not FOUND.search(good)
