"""Python packages to install, made on the spot: nothing comes from a network."""

from __future__ import annotations

import pathlib
import zipfile

# PEP 517, by hand and without dependencies: an editable install is a wheel whose only content is a .pth file.
BACKEND = '''
import pathlib
import zipfile


def write(folder, content):
    name = "NAME-1.0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\nProvides-Extra: more\\n" \\
        "Requires-Dist: EXTRA; extra == 'more'\\n"
    files = content | {
        "NAME-1.0.dist-info/METADATA": metadata,
        "NAME-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: by hand\\nRoot-Is-Purelib: true\\n"
        "Tag: py3-none-any\\n",
    }
    record = "".join(f"{path},,\\n" for path in files) + "NAME-1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        for path, text in (files | {"NAME-1.0.dist-info/RECORD": record}).items():
            wheel.writestr(path, text)
    return name


def build_wheel(folder, config_settings=None, metadata_directory=None):
    return write(folder, {"NAME.py": pathlib.Path("src/NAME.py").read_text()})


def build_editable(folder, config_settings=None, metadata_directory=None):
    return write(folder, {"__editable__.NAME.pth": str(pathlib.Path("src").absolute()) + "\\n"})
'''


def wheel(folder: str, name: str, version: str, files: dict[str, str]) -> str:
    """Write a wheel and give its path."""
    info = f"{name}-{version}.dist-info"
    contents = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in contents) + f"{info}/RECORD,,\n"
    path = pathlib.Path(folder, f"{name}-{version}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in (contents | {f"{info}/RECORD": record}).items():
            archive.writestr(inside, text)
    return str(path)


def project(folder: str, name: str, extra: str) -> str:
    """Write a project with one module and a build backend of its own; its extra `more` needs another package."""
    root = pathlib.Path(folder)
    (root / "src").mkdir(parents=True)
    (root / "backend").mkdir()
    (root / "src" / f"{name}.py").write_text("VALUE = 'first'\n")
    (root / "backend" / "by_hand.py").write_text(BACKEND.replace("NAME", name).replace("EXTRA", extra))
    (root / "pyproject.toml").write_text(
        f"[project]\nname = '{name}'\nversion = '1.0'\noptional-dependencies = {{ more = ['{extra}'] }}\n"
        "[build-system]\nrequires = []\nbuild-backend = 'by_hand'\nbackend-path = ['backend']\n"
    )
    return str(root / "pyproject.toml")
