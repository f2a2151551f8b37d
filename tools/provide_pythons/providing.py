"""From what is wanted to an executable: find it, or else fetch and build it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import fetching
import finding
import places
from building import Build, alone
from progress import Progress
from releases import Refused, Release, Wanted, for_wanted


@dataclass
class Provider:
    pinned: list[Release]
    progress: Progress
    tarballs: dict[Release, Path] = field(default_factory=dict)  # that the user has
    only_find: bool = False
    rebuild: bool = False
    jobs: int | None = None

    def provide(self, wanted: Wanted) -> str:
        complaints: list[str] = []
        if not self.rebuild and (found := finding.find(wanted, complaints.append)):
            return found
        for complaint in complaints:
            self.progress.say(f"Not {complaint}")
        if self.only_find:
            raise Refused(f"{wanted} is not on this machine, or does not suit")
        choice = for_wanted(wanted, self.pinned)
        prepare()
        return self._build(wanted, *self._tarball(choice))

    def _tarball(self, choice: list[Release]) -> tuple[Release, Path]:
        for release in choice:
            if release in self.tarballs:
                return release, self.tarballs[release]
        return fetching.fetch(choice, self.progress)

    def _build(self, wanted: Wanted, release: Release, tarball: Path) -> str:
        with alone(wanted.build_name(release), self.progress) as lock:
            # Another run may have built it while this one waited.
            if not self.rebuild and (found := finding.find(wanted)):
                return found
            build = Build(wanted, release, lock, self.jobs, self.progress)
            build.run(tarball)
            answer = finding.ask(build.prefix / "bin" / wanted.executable)
            if problem := finding.problem(wanted, answer):
                raise Refused(f"{build.prefix} was built, and does not suit: {problem}")
            return answer["executable"]


def prepare() -> None:
    """Has what CPython's own build needs installed, or named."""
    command = [places.REPOSITORY / "tools" / "setup", "pythons"]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        raise Refused("Without that no Python can be built.")
