"""Builds a release and puts it in the cache, where it appears all at once or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import places
from progress import Progress
from releases import Refused, Release, Wanted

MODULES = ("ctypes", "sqlite3", "ssl", "zlib")  # what CPython leaves out without a word when a header is missing
LIBRARY_PATH = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
MOST_JOBS = 16  # more do not make it faster
OBJECT = re.compile(r"(?:^|\s)-o \S+\.o(?:\s|$)")


@contextmanager
def alone(name: str, progress: Progress) -> Iterator[int]:
    """One build of a name at a time, however many runs want it. Gives the lock, for what outlives this process."""
    places.builds().mkdir(parents=True, exist_ok=True)
    lock = os.open(places.builds() / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"Waiting for another run that builds {name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Build:
    """Of one release in one flavour. To be made by who holds the lock of its name."""

    def __init__(self, wanted: Wanted, release: Release, lock: int, jobs: int | None, progress: Progress) -> None:
        self.name = wanted.build_name(release)
        self.prefix = places.builds() / self.name
        self._wanted = wanted
        self._lock = lock
        self._jobs = jobs or min(cores(), MOST_JOBS)
        self._progress = progress
        self._work = places.builds() / f".{self.name}.work"  # on the file system of the prefix, for the last step
        self._source = self._work / "source"
        self._python = self._source / ("python.exe" if sys.platform == "darwin" else "python")
        self._staging = self._work / "staging"
        self._log = places.builds() / f"{self.name}.log"

    def run(self, tarball: Path) -> None:
        began = time.monotonic()
        self._log.write_text("")
        try:
            self._unpack(tarball)
            self._configure()
            self._make()
            self._check()
            self._install()
        finally:
            shutil.rmtree(self._work, ignore_errors=True)
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        self._progress.say(f"Built {self.prefix} in {minutes}:{seconds:02}")

    def _unpack(self, tarball: Path) -> None:
        with self._progress.step(f"Python {self.name}: unpacking"), tarfile.open(tarball) as archive:
            shutil.rmtree(self._work, ignore_errors=True)  # of a run that was killed
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(self._work)
        (unpacked,) = self._work.iterdir()
        unpacked.rename(self._source)

    def _configure(self) -> None:
        with self._progress.step(f"Python {self.name}: configuring"):
            self._command("./configure", *self.options())

    def options(self) -> list[str]:
        library = self.prefix / "lib"
        flags = os.environ.get("LDFLAGS", "")
        if sys.platform != "darwin":  # there a library is linked by its path
            flags = f"-Wl,-rpath,{library} {flags}".strip()
        options = [f"--prefix={self.prefix}", f"--libdir={library}", "--enable-shared", "--without-ensurepip",
                   f"LDFLAGS={flags}"]
        if self._wanted.free_threading:
            options += ["--disable-gil"]
        if self._wanted.optimized:
            options += ["--enable-optimizations", "--with-lto"]
        else:
            options += ["--disable-test-modules"]  # which are what a profile is taken of
        return options

    def _make(self) -> None:
        steps = 0
        if not self._wanted.optimized:  # that compiles everything twice, and tests in between
            plan = subprocess.run(["make", "-n"], cwd=self._source, env=self._environment(), capture_output=True)
            steps = len([line for line in plan.stdout.decode(errors="replace").splitlines() if OBJECT.search(line)])
        with self._progress.step(f"Python {self.name}: compiling"):
            self._command("make", f"-j{self._jobs}", steps=steps)

    def _check(self) -> None:
        missing = []
        for module in MODULES:
            command = [self._python, "-c", f"import {module}"]
            environment = self._environment_of_python()
            if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True).returncode:
                missing.append(module)
        if missing:
            raise Refused(f"Python {self.name} came out without {', '.join(missing)}; `tools/setup pythons` brings the "
                          f"headers they need, and {self._log} says more")

    def _install(self) -> None:
        """Under DESTDIR, and from there with one rename: a prefix that exists is a whole one."""
        with self._progress.step(f"Python {self.name}: installing"):
            self._command("make", "install", f"DESTDIR={self._staging}")
            self._install_pip()
            if self.prefix.exists():
                self.prefix.rename(self._work / "former")
            Path(f"{self._staging}{self.prefix}").rename(self.prefix)

    def _install_pip(self) -> None:
        """From the wheel that comes with the source. ensurepip would be content with the one of a former build."""
        for wheel in self._source.glob("Lib/ensurepip/_bundled/pip-*.whl"):
            options = ("--isolated", "--no-index", "--no-cache-dir", "--ignore-installed", "--no-warn-script-location")
            self._command(
                self._python, wheel / "pip", "install", *options, "--find-links", wheel.parent, "--root", self._staging,
                "pip", environment=self._environment_of_python(),
            )

    def _command(self, *command: str | Path, steps: int = 0, environment: dict[str, str] | None = None) -> None:
        done = 0
        with open(self._log, "a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(map(str, command))}\n")
            log.flush()
            # The lock goes along: when this process is killed, the name is taken until the last of these has ended.
            with subprocess.Popen(
                command, cwd=self._source, env=environment or self._environment(), pass_fds=(self._lock,),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                start_new_session=True,
            ) as process:
                try:
                    for line in process.stdout:
                        log.write(line)
                        if steps and OBJECT.search(line):
                            done += 1
                            self._progress.count(done, steps, "files")
                except BaseException:  # Ctrl-C too
                    os.killpg(process.pid, signal.SIGKILL)
                    raise
        if process.returncode:
            last = self._log.read_text("utf-8", "replace").splitlines()[-20:]
            failure = f"`{command[0]}` of Python {self.name} failed; all that it said: {self._log}"
            raise Refused("\n".join([*last, failure]))

    @staticmethod
    def _environment() -> dict[str, str]:
        """Without what is meant for a Python, or for the make that called this."""
        ours = ("PYTHON", "MAKE", "MFLAGS", "DESTDIR", "LD_PRELOAD", "LDFLAGS", "ASAN_", "LSAN_", "TSAN_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    def _environment_of_python(self) -> dict[str, str]:
        """For the one that was compiled and whose library is not at its place yet."""
        return {**self._environment(), LIBRARY_PATH: str(self._source)}
