"""What apt knows: where this machine's Debian mirror is, and through which proxy it is reached."""

from __future__ import annotations

import re
import shutil
import subprocess
from urllib.parse import urlsplit

DISTRIBUTIONS = ("Debian", "Ubuntu")


def pools() -> list[str]:
    """Addresses of pool/<component>/, each with a slash at its end, in the order of apt's sources."""
    if not shutil.which("apt-get"):
        return []
    found = _pools_of_lists() or _pools_of_sources()
    return [address for address in dict.fromkeys(found) if urlsplit(address).scheme in ("http", "https", "file")]


def _pools_of_lists() -> list[str]:
    form = "$(ORIGIN)|$(REPO_URI)|$(COMPONENT)"
    lines = _ask("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    fields = [line.split("|") for line in lines]
    return [
        f"{address}pool/{component}/"
        for origin, repository, component in fields
        if origin in DISTRIBUTIONS
        for address in _mirrors(repository)
    ]


def _pools_of_sources() -> list[str]:
    """For a machine, such as a fresh container, that has the sources and no list yet."""
    pattern = r"'(.*/)dists/[^/]+/([^/]+)/binary-"
    matches = [re.match(pattern, line) for line in _ask("apt-get", "update", "--print-uris")]
    return [f"{match[1]}pool/{match[2]}/" for match in matches if match]


def _mirrors(repository: str) -> list[str]:
    """An address, or those in the file that it names: "mirror+file:/etc/apt/mirrors/debian.list"."""
    if not repository.startswith("mirror+file:"):
        return [repository]
    try:
        with open("/" + repository.split(":", 1)[1].strip("/"), encoding="utf-8") as file:
            words = [line.split() for line in file if not line.startswith("#")]
    except OSError:
        return []
    return [line[0].rstrip("/") + "/" for line in words if line]


def proxies(address: str) -> dict[str, str] | None:
    """What urllib wants to hear. None: apt says nothing, the environment decides."""
    parts = urlsplit(address)
    for key in (f"Acquire::{parts.scheme}::Proxy::{parts.hostname}", f"Acquire::{parts.scheme}::Proxy"):
        if value := "".join(_ask("apt-config", "shell", "proxy", key)).partition("=")[2].strip("'\""):
            return {} if value == "DIRECT" else {parts.scheme: value}
    return None


def _ask(*command: str) -> list[str]:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    return answer.stdout.splitlines()
