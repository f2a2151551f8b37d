"""Things that look to tools/pythons like a Python, and like the source of one."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from pathlib import Path

# The last argument says what it is asked: to run cmake/interrogate_python.py, or else how it was configured.
PYTHON = """#!/bin/sh
for last; do :; done
case $last in
    */interrogate_python.py) echo '{answer}' ;;
    *) echo '{configured}' ;;
esac
"""

CONFIGURE = """#!/bin/sh
for option; do
    case $option in --prefix=*) prefix=${option#--prefix=} ;; esac
done
for file in Makefile python; do
    sed "s|@prefix@|$prefix|; s|@options@|$*|" $file.in >$file
done
chmod +x python
"""

MAKEFILE = """
all:
\techo gcc -o Python/ceval.o
install:
\tmkdir -p $(DESTDIR)@prefix@/bin
\tcp python $(DESTDIR)@prefix@/bin/%(executable)s
\t%(end)s
"""


def executable(path: Path, version: str, configured: str = "", **more: object) -> Path:
    """`more` replaces parts of the answer: problem="it has no headers"."""
    name = path.name
    answer = {
        "version": version,
        "series": ".".join(version.split(".")[:2]),
        "free_threading": name.endswith("t"),
        "executable": str(path),
        **more,
    }
    return script(path, PYTHON.format(answer=json.dumps(answer), configured=configured))


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def tarball(directory: Path, version: str, name: str, install_ends_with: str = "true") -> Path:
    """The source of a Python whose build takes no time. `name` is that of its executable."""
    source = directory / f"Python-{version}"
    executable(source / "python.in", version, "@options@", executable=f"@prefix@/bin/{name}",
               free_threading=name.endswith("t"))
    script(source / "configure", CONFIGURE)
    (source / "Makefile.in").write_text(MAKEFILE % {"executable": name, "end": install_ends_with})
    packed = directory / f"Python-{version}.tar.xz"
    with tarfile.open(packed, "w:xz") as archive:
        archive.add(source, source.name)
    return packed


def surroundings(home: Path) -> dict[str, str]:
    """An environment in which nothing of the user who runs this is found."""
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "PYENV_ROOT": str(home / "pyenv"),
        "UV_PYTHON_INSTALL_DIR": "",
        "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
