"""Prints what a build needs to know about the Python that runs this, as one JSON object.

The key "problem" is there when no backend can be built for it: a sentence that says why and what to do.
"""

import json
import os
import platform
import sys
import sysconfig


def flavour() -> str:
    """What follows "cp" in the ABI tag: "311", "314t"."""
    soabi = sysconfig.get_config_var("SOABI") or ""
    parts = soabi.split("-")
    if len(parts) > 1 and parts[0] == "cpython":
        return parts[1]
    return "%d%d%s" % (sys.version_info[0], sys.version_info[1], getattr(sys, "abiflags", ""))


def shared_library() -> str:
    """The absolute path of the shared libpython, or an empty string."""
    get = sysconfig.get_config_var
    names = [get("INSTSONAME"), get("LDLIBRARY")]
    directories = [
        get("LIBDIR"),
        os.path.join(get("LIBDIR") or "", get("MULTIARCH") or ""),
        # A Python that was moved after it was built still has its library beside itself.
        os.path.join(sys.base_prefix, "lib"),
        get("PYTHONFRAMEWORKPREFIX"),
    ]
    for directory in filter(None, directories):
        for name in filter(None, names):
            path = os.path.join(directory, name)
            if not name.endswith(".a") and os.path.isfile(path):
                return path
    return ""


def executable() -> str:
    """The interpreter itself: not a shim, not a virtual environment, and a name that survives python3 moving on."""
    flag = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    name = "python%d.%d%s" % (sys.version_info[0], sys.version_info[1], flag)
    path = os.path.join(sys.base_prefix, "bin", name)
    if os.path.exists(path):
        return path
    return getattr(sys, "_base_executable", None) or sys.executable


def problem(found: dict) -> "str | None":
    if platform.python_implementation() != "CPython":
        return "it is %s; only CPython can be embedded" % platform.python_implementation()
    if sys.version_info < (3, 11):
        return "it is %s; 3.11 is the oldest supported" % found["version"]
    if not os.path.isfile(os.path.join(found["include"], "Python.h")):
        return "its headers are missing (%s); install them (Debian: python3-dev)" % found["include"]
    if not found["libpython"]:
        return ("it has no shared libpython; install it (Debian: libpython3-dev), or build Python with "
                "--enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)")
    return None


def main() -> None:
    found = {
        "version": platform.python_version(),
        "series": "%d.%d" % sys.version_info[:2],
        "abi_tag": "cp" + flavour(),
        "free_threading": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "include": sysconfig.get_path("include"),
        "libpython": shared_library(),
        "executable": executable(),
    }
    reason = problem(found)
    if reason:
        found["problem"] = reason
    print(json.dumps(found))


main()
