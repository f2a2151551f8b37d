"""Directories of this user. Everything that is built or downloaded lies below one, so that deleting it undoes all."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def _directory(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default)


def cache() -> Path:
    return _directory("XDG_CACHE_HOME", ".cache") / "erlang_python"


def builds() -> Path:
    return cache() / "pythons"


def pyenv() -> Path:
    return _directory("PYENV_ROOT", ".pyenv") / "versions"


def uv() -> Path:
    if directory := os.environ.get("UV_PYTHON_INSTALL_DIR"):
        return Path(directory)
    return _directory("XDG_DATA_HOME", ".local/share") / "uv" / "python"
