"""Unpacks CPython's own tests of asyncio for Pythons that came without them: tools/python_tests PYTHON...

They are taken from the source that tools/pythons has downloaded, if that is of exactly this release, and stay in
~/.cache/erlang_python/tests (EP_TEST_PYTHON_TESTS names another directory). Where there is no such source nothing is
unpacked and nothing is said: the tests that want them are skipped with the reason.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "erlang_python"
PLACE = Path(os.environ.get("EP_TEST_PYTHON_TESTS") or CACHE / "tests")
WANTED = ("__init__.py", "support/", "certdata/", "test_asyncio/")
RELEASE = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


def provide(python: str) -> None:
    command = shutil.which(python) or shutil.which(f"python{python}")
    if command is None:
        return
    release = subprocess.run([command, "-I", "-c", RELEASE], capture_output=True, text=True, check=True).stdout.strip()
    tarball = CACHE / "downloads" / f"Python-{release}.tar.xz"
    if (PLACE / release).exists() or not tarball.exists():
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{release}.", dir=PLACE) as partial:
        unpack(tarball, f"Python-{release}/Lib/test/", Path(partial, "whole", "test"))
        Path(partial, "whole").rename(PLACE / release)


def unpack(tarball: Path, prefix: str, target: Path) -> None:
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = member.name.removeprefix(prefix)
            if member.isfile() and name != member.name and name.startswith(WANTED):
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())


if __name__ == "__main__":
    for each in sys.argv[1:]:
        try:
            provide(each)
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as problem:
            print(f"tools/python_tests: {each}: {problem}", file=sys.stderr)
