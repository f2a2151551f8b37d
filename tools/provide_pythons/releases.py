"""What can be asked for, and the releases that can be built for it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path


class Refused(Exception):
    """Something that a user can do something about. Its text is what they read."""


@dataclass(frozen=True)
class Release:
    version: str
    sha256: str  # of Python-<version>.tar.xz, which Debian carries unchanged as .orig.tar.xz

    @property
    def series(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def number(self) -> tuple[int, ...]:
        return number(self.version)


@dataclass(frozen=True)
class Wanted:
    """One Python of the command line: 3.14, 3.14t, or one release of it, 3.14.7t."""

    version: str  # without the flavour
    free_threading: bool
    optimized: bool

    @property
    def series(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def executable(self) -> str:
        """The name that only this series and flavour has."""
        return "python" + self.series + ("t" if self.free_threading else "")

    def build_name(self, release: Release) -> str:
        return release.version + ("t" if self.free_threading else "") + ("-optimized" if self.optimized else "")

    def __str__(self) -> str:
        flavour = "t" if self.free_threading else ""
        return f"Python {self.version}{flavour}" + (", optimized," if self.optimized else "")


def number(version: str) -> tuple[int, ...]:
    """For comparing: 3.13.15 is newer than 3.13.5. Of a prerelease, 3.15.0a1, the digits that lead."""
    return tuple(int(digits) for digits in re.findall(r"(?:^|\.)(\d+)", version))


def parse(text: str, optimized: bool = False) -> Wanted:
    match = re.fullmatch(r"(3\.\d+(?:\.\d+)?)(t?)", text)
    if not match:
        raise Refused(f"{text} is not a version: expected such as 3.14, 3.14t, or 3.14.7")
    return Wanted(match[1], match[2] == "t", optimized)


def known(path: Path = Path(__file__).with_name("releases.json")) -> list[Release]:
    """Newest first."""
    pinned = [Release(version, sha256) for version, sha256 in json.loads(path.read_text("utf-8")).items()]
    return sorted(pinned, key=lambda release: release.number, reverse=True)


def for_wanted(wanted: Wanted, pinned: list[Release]) -> list[Release]:
    """Those that can be built for it, the newest first. Never empty."""
    found = [release for release in pinned if wanted.version in (release.version, release.series)]
    if wanted.free_threading:
        found = [release for release in found if release.number >= (3, 13)]
    if not found:
        names = [name for release in pinned for name in (release.version, release.version + "t")]
        raise Refused(f"{wanted} is not on this machine and cannot be built: the releases known are {', '.join(names)}")
    return found


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def recognise(path: Path, pinned: list[Release]) -> Release:
    """Which release a file is, by its content alone."""
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    digest = sha256_of(path)
    for release in pinned:
        if release.sha256 == digest:
            return release
    names = ", ".join(f"Python-{release.version}.tar.xz" for release in pinned)
    raise Refused(f"{path} is none of {names}: its SHA-256 is {digest}")
