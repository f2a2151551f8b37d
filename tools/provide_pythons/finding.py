"""Pythons that are on this machine already, and suit as they are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import places
from releases import Wanted, number

INTERROGATION = places.REPOSITORY / "cmake" / "interrogate_python.py"
PATIENCE = 30  # seconds for a Python to start and answer: one that waits for input is none


def find(wanted: Wanted, complain: Callable[[str], object] = lambda text: None) -> str | None:
    """The executable of the best one. `complain` is told why those that have the name are not taken."""
    for group in candidates(wanted.executable):
        suitable = []
        for executable in group:
            found = ask(executable)
            if reason := problem(wanted, found):
                complain(f"{executable}: {reason}")
            else:
                suitable.append(found)
        if suitable:
            return max(suitable, key=lambda found: number(found["version"]))["executable"]
    return None


def candidates(name: str) -> Iterator[list[Path]]:
    """Groups of executables, the preferred first; of one group the newest will be taken."""
    own = sorted(places.builds().glob(f"*/bin/{name}"))
    plain = [path for path in own if not path.parent.parent.name.endswith("-optimized")]
    path = [Path(directory) / name for directory in os.environ.get("PATH", "").split(os.pathsep) if directory]
    seen: set[Path] = set()
    for group in (
        plain,
        own,
        [Path("/usr/bin") / name],  # distributions and deadsnakes
        *([executable] for executable in path),
        places.pyenv().glob(f"*/bin/{name}"),
        places.uv().glob(f"*/bin/{name}"),
    ):
        yield list(_new(group, seen))


def _new(paths: Iterable[Path], seen: set[Path]) -> Iterator[Path]:
    for path in paths:
        real = Path(os.path.realpath(path))
        if os.access(path, os.X_OK) and real not in seen:
            seen.add(real)
            yield path


def ask(executable: Path) -> dict:
    """What the build will ask it too. Has a key "problem" if no backend can be built for it."""
    try:
        answer = _run(executable, INTERROGATION)
        answer.check_returncode()
        return json.loads(answer.stdout)
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.strip().splitlines()
        return {"problem": f"it does not run: {complaint[-1] if complaint else error}"}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"problem": f"it does not run: {error}"}


def problem(wanted: Wanted, found: dict) -> str | None:
    """Why it is not taken. Its name says nothing for sure: a shim may be any, python3.14 may be free-threaded."""
    if "problem" in found:
        return found["problem"]
    if wanted.version not in (found["version"], found["series"]):
        return f"it is {found['version']}"
    if wanted.free_threading != found["free_threading"]:
        return "it is free-threaded" if found["free_threading"] else "it is not free-threaded"
    if wanted.optimized and not is_optimized(found["executable"]):
        return "it was built without profile and link-time optimisation"
    return None


def is_optimized(executable: str) -> bool:
    question = "import sysconfig; print(sysconfig.get_config_var('CONFIG_ARGS'))"
    arguments = _run(executable, "-c", question).stdout
    return "--enable-optimizations" in arguments and "--with-lto" in arguments


def _run(executable: Path | str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [executable, "-I", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
    )
