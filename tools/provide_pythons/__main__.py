"""Provides Pythons for building and testing backends. tools/pythons runs this."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import places
from progress import Progress
from providing import Provider
from releases import Refused, known, parse, recognise


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/pythons",
        description="Prints the path of each Python, one a line; stderr says what is going on. One that is on this "
        "machine, with headers and a shared libpython, is taken as it is: a former build of this command, the "
        "distribution's, one on PATH, pyenv's, uv's. Others are built from source, below " + str(places.builds()),
    )
    parser.add_argument("versions", nargs="+", metavar="VERSION", help="3.14, 3.14t (free-threaded), 3.14.7")
    parser.add_argument("--optimized", action="store_true",
                        help="configured with --enable-optimizations and --with-lto, for benchmarks")
    parser.add_argument("--from", dest="tarballs", metavar="FILE", type=Path, action="append", default=[],
                        help="a Python-<version>.tar.xz, so that nothing is downloaded")
    parser.add_argument("--find", action="store_true", help="only look for it; if there is none the status is 1")
    parser.add_argument("--rebuild", action="store_true", help="build although there is one")
    parser.add_argument("--jobs", type=int, metavar="N", help="compilers at a time (default: one for each core)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that what was begun is cleaned up
    try:
        wanted = [parse(version, options.optimized) for version in options.versions]
        pinned = known()
        tarballs = {recognise(path, pinned): path for path in options.tarballs}
        provider = Provider(pinned, Progress(), tarballs, options.find, options.rebuild, options.jobs)
        for each in wanted:
            print(provider.provide(each), flush=True)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
