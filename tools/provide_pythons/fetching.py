"""Brings the tarball of a release from the first source that has it, whole and unchanged."""

from __future__ import annotations

import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import apt
import places
from progress import Progress
from releases import Refused, Release, sha256_of

PATIENCE = 10  # seconds without a byte


class Unusable(Exception):
    """A source that does not have it. Its text says why."""


def fetch(releases: list[Release], progress: Progress) -> tuple[Release, Path]:
    """The newest that is to be had: pools of distributions drop old ones."""
    silent: set[str] = set()
    for release in releases:
        kept = places.cache() / "downloads" / f"Python-{release.version}.tar.xz"
        if kept.is_file() and sha256_of(kept) == release.sha256:
            return release, kept
        for address, proxies in sources(release):
            host = urlsplit(address).netloc or address
            if host in silent:
                continue
            try:
                with progress.step(f"Downloading Python {release.version} from {host}"):
                    download(address, proxies, release, kept, progress)
                return release, kept
            except Unusable as reason:
                progress.say(f"{address}: {reason}")
            except (OSError, http.client.HTTPException) as error:
                silent.add(host)
                progress.say(f"{host} does not answer: {error}")
    names = " or ".join(f"Python-{release.version}.tar.xz" for release in releases)
    raise Refused(f"No source has {names}. Get it some other way, and name it: tools/pythons --from FILE")


def sources(release: Release) -> Iterator[tuple[str, dict[str, str] | None]]:
    """Addresses, each with the proxies to reach it through."""
    yield f"https://www.python.org/ftp/python/{release.version}/Python-{release.version}.tar.xz", None
    package = f"python{release.series}"
    for pool in apt.pools():
        yield f"{pool}p/{package}/{package}_{release.version}.orig.tar.xz", apt.proxies(pool)


def download(address: str, proxies: dict[str, str] | None, release: Release, target: Path, progress: Progress) -> None:
    """Appears under its name when it is complete and right, and not before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        arriving = Path(directory) / target.name
        try:
            with opener.open(address, timeout=PATIENCE) as answer, open(arriving, "wb") as file:
                size = int(answer.headers.get("Content-Length") or 0)
                while block := answer.read(1 << 16):
                    file.write(block)
                    progress.count(file.tell() >> 20, size >> 20, "MiB")
        except urllib.error.HTTPError as error:
            raise Unusable(f"{error.code} {error.reason}") from None
        if (digest := sha256_of(arriving)) != release.sha256:
            raise Unusable(f"that is not Python {release.version}: expected SHA-256 {release.sha256}, got {digest}")
        os.replace(arriving, target)
