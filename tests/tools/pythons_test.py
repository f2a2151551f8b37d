"""tools/pythons finds, refuses, builds, and does nothing when there is nothing to do. Its Pythons here are faked."""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(REPOSITORY / "tools" / "provide_pythons")]

import apt  # noqa: E402
import building  # noqa: E402
import faked  # noqa: E402
import fetching  # noqa: E402
import places  # noqa: E402
import providing  # noqa: E402
import releases  # noqa: E402
from progress import Progress  # noqa: E402
from releases import Refused, Release  # noqa: E402


class Said:
    """A stream that remembers, and on which a test can wait."""

    def __init__(self):
        self._lines = queue.Queue()
        self.text = ""

    def write(self, text):
        self.text += text
        self._lines.put(text)

    def flush(self):
        pass

    def isatty(self):
        return False

    def wait_for(self, text):
        while text not in self._lines.get(timeout=60):
            pass


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="pythons_test."))
        self.addCleanup(shutil.rmtree, self.home)
        environment = mock.patch.dict(os.environ, faked.surroundings(self.home), clear=True)
        environment.start()
        self.addCleanup(environment.stop)
        self.said = Said()
        self.progress = Progress(self.said)

    def command(self, *arguments):
        command = [REPOSITORY / "tools" / "pythons", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def assert_refused(self, answer, *words):
        self.assertEqual((answer.returncode, answer.stdout), (1, ""))
        for word in words:
            self.assertIn(word, answer.stderr)
        self.assertNotIn("Traceback", answer.stderr)


class Finding(Case):
    """Versions that no machine has yet, so that only what is faked can be found."""

    def assert_found(self, wanted, executable):
        answer = self.command(wanted)
        self.assertEqual((answer.returncode, answer.stdout, answer.stderr), (0, f"{executable}\n", ""))

    def test_on_path(self):
        self.assert_found("3.98", faked.executable(self.home / "bin/python3.98", "3.98.0"))

    def test_the_newest_of_pyenv(self):
        faked.executable(self.home / "pyenv/3.98.9/bin/python3.98", "3.98.9")
        newest = faked.executable(self.home / "pyenv/3.98.10/bin/python3.98", "3.98.10")
        faked.executable(self.home / "pyenv/3.98.2/bin/python3.98", "3.98.2")
        os.renames(self.home / "pyenv", self.home / "root/versions")
        with mock.patch.dict(os.environ, PYENV_ROOT=str(self.home / "root")):
            self.assert_found("3.98", newest)

    def test_of_uv(self):
        free_threaded = self.home / "data/uv/python/cpython-3.98.1+freethreaded-linux/bin/python3.98t"
        self.assert_found("3.98t", faked.executable(free_threaded, "3.98.1"))

    def test_a_build_of_its_own_comes_first(self):
        faked.executable(self.home / "bin/python3.98", "3.98.5")
        self.assert_found("3.98", faked.executable(places.builds() / "3.98.1/bin/python3.98", "3.98.1"))

    def test_of_one_release(self):
        faked.executable(self.home / "bin/python3.98", "3.98.5")
        wanted = faked.executable(places.builds() / "3.98.1/bin/python3.98", "3.98.1")
        self.assert_found("3.98.1", wanted)

    def test_what_does_not_suit_is_passed_over(self):
        faked.executable(places.builds() / "3.98.7/bin/python3.98", "3.98.7", problem="it has no shared libpython")
        faked.script(self.home / "bin/python3.98", "#!/bin/sh\nexit 1\n")
        self.assert_found("3.98", faked.executable(self.home / "data/uv/python/a/bin/python3.98", "3.98.0"))

    def test_only_optimized_ones(self):
        faked.executable(self.home / "bin/python3.98", "3.98.0", "'--enable-shared'")
        best = faked.executable(
            places.builds() / "3.98.0-optimized/bin/python3.98", "3.98.0", "'--enable-optimizations' '--with-lto'"
        )
        answer = self.command("--optimized", "3.98")
        self.assertEqual((answer.returncode, answer.stdout), (0, f"{best}\n"))

    def test_the_reasons_are_said_when_nothing_is_found(self):
        faked.executable(self.home / "bin/python3.98", "3.98.0", problem="its headers are missing")
        faked.executable(places.builds() / "3.98.0t/bin/python3.98", "3.98.0", free_threading=True)
        answer = self.command("--find", "3.98")
        self.assert_refused(answer, "Python 3.98", "its headers are missing", "it is free-threaded")

    def test_nothing_is_done_the_second_time(self):
        pythons = [faked.executable(places.builds() / f"3.14.7{t}/bin/python3.14{t}", "3.14.7") for t in ("", "t")]
        before = sorted(self.home.rglob("*"))
        for _ in range(2):
            answer = self.command("3.14", "3.14t")
            self.assertEqual((answer.returncode, answer.stderr), (0, ""))
            self.assertEqual(answer.stdout.splitlines(), [str(path) for path in pythons])
        self.assertEqual(sorted(self.home.rglob("*")), before)


class Refusing(Case):
    def test_an_unknown_version(self):
        self.assert_refused(self.command("3.98"), "Python 3.98 is not on this machine", "3.14.7", "3.13.15t")

    def test_free_threading_where_there_is_none(self):
        with self.assertRaisesRegex(Refused, "Python 3.12t"):
            releases.for_wanted(releases.parse("3.12t"), [Release("3.12.9", "")])

    def test_what_is_no_version(self):
        self.assert_refused(self.command("three"), "three is not a version")

    def test_a_tarball_that_is_none(self):
        garbage = self.home / "Python-3.14.7.tar.xz"
        garbage.write_bytes(b"not a Python")
        digest = releases.sha256_of(garbage)
        self.assert_refused(self.command("--from", str(garbage), "3.14"), str(garbage), digest)
        self.assertFalse(places.cache().exists())

    def test_a_tarball_that_does_not_exist(self):
        self.assert_refused(self.command("--from", "/nowhere/Python.tar.xz", "3.14"), "no such file")


class Fetching(Case):
    def setUp(self):
        super().setUp()
        self.packed = self.home / "mirror" / "python.tar.xz"
        self.packed.parent.mkdir()
        self.packed.write_bytes(b"what was released")
        self.release = Release("3.97.1", releases.sha256_of(self.packed))

    def fetch(self, *addresses, choice=None):
        with mock.patch.object(fetching, "sources", lambda release: [(address, None) for address in addresses]):
            return fetching.fetch(choice or [self.release], self.progress)

    def test_the_next_source_when_one_has_it_not(self):
        release, path = self.fetch("file:///nowhere/python.tar.xz", self.packed.as_uri())
        self.assertEqual((release, path.read_bytes()), (self.release, b"what was released"))
        self.assertIn("/nowhere/python.tar.xz", self.said.text)

    def test_the_next_source_when_one_has_something_else(self):
        other = self.home / "other.tar.xz"
        other.write_bytes(b"something else")
        _, path = self.fetch(other.as_uri(), self.packed.as_uri())
        self.assertEqual(path.read_bytes(), b"what was released")
        self.assertIn(f"expected SHA-256 {self.release.sha256}", self.said.text)

    def test_nothing_is_left_of_what_is_not_it(self):
        self.packed.write_bytes(b"something else")
        with self.assertRaisesRegex(Refused, "--from FILE"):
            self.fetch(self.packed.as_uri())
        self.assertEqual(list((places.cache() / "downloads").iterdir()), [])

    def test_an_older_release_when_the_newest_is_gone(self):
        release, _ = self.fetch(self.packed.as_uri(), choice=[Release("3.97.2", "0" * 64), self.release])
        self.assertEqual(release, self.release)

    def test_what_was_fetched_is_kept(self):
        self.fetch(self.packed.as_uri())
        release, _ = self.fetch()
        self.assertEqual(release, self.release)

    def test_the_mirror_of_apt(self):
        mirrors = self.home / "mirrors.list"
        mirrors.write_text("# ours\nhttp://mirror.test/debian\tpriority:1\n")
        repositories = ("Debian|http://deb.test/debian/|main", f"Debian|mirror+file:{mirrors}|main",
                        "Somebody|http://else.test/|main", "Debian|cdrom:[disc]/|main")
        lines = "\n".join(repositories)
        faked.script(self.home / "bin/apt-get", f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
        faked.script(self.home / "bin/apt-config", "#!/bin/sh\ntrue\n")
        found = [address for address, _ in fetching.sources(Release("3.97.1", ""))]
        self.assertEqual(found[1:], [
            "http://deb.test/debian/pool/main/p/python3.97/python3.97_3.97.1.orig.tar.xz",
            "http://mirror.test/debian/pool/main/p/python3.97/python3.97_3.97.1.orig.tar.xz",
        ])

    def test_the_mirror_of_an_apt_that_has_no_lists_yet(self):
        line = "'http://deb.test/debian/dists/trixie/main/binary-amd64/Packages.xz' deb.test_debian 0"
        faked.script(self.home / "bin/apt-get", f'#!/bin/sh\n[ $1 = indextargets ] || echo "{line}"\n')
        self.assertEqual(apt.pools(), ["http://deb.test/debian/pool/main/"])

    def test_the_proxy_of_apt(self):
        faked.script(self.home / "bin/apt-config", """#!/bin/sh
            case $3 in
                Acquire::http::Proxy) echo "proxy='http://proxy.test:3142'" ;;
                *inner*) echo "proxy='DIRECT'" ;;
            esac""")
        self.assertEqual(apt.proxies("http://deb.test/debian/"), {"http": "http://proxy.test:3142"})
        self.assertEqual(apt.proxies("http://inner.test/debian/"), {})
        self.assertEqual(apt.proxies("https://deb.test/debian/"), None)


@unittest.skipUnless(shutil.which("make"), "make is missing")
class Building(Case):
    def setUp(self):
        super().setUp()
        prepare = mock.patch.object(providing, "prepare", lambda: None)  # which would install packages
        prepare.start()
        self.addCleanup(prepare.stop)

    def provider(self, name="python3.97t", **how):
        packed = faked.tarball(self.home, "3.97.1", name, **how)
        release = Release("3.97.1", releases.sha256_of(packed))
        return providing.Provider([release], self.progress, {release: packed})

    def wanted(self, optimized=False):
        return releases.parse("3.97t", optimized)

    def left_over(self):
        return [path.name for path in places.builds().iterdir() if path.name.endswith(".work")]

    def test_it_appears_in_the_cache(self):
        executable = self.provider().provide(self.wanted())
        self.assertEqual(executable, str(places.builds() / "3.97.1t/bin/python3.97t"))
        self.assertEqual(self.left_over(), [])
        self.assertIn("Built", self.said.text)

    def test_it_is_found_the_second_time(self):
        provider = self.provider()
        first = provider.provide(self.wanted())
        provider.tarballs.clear()
        self.said.text = ""
        self.assertEqual((provider.provide(self.wanted()), self.said.text), (first, ""))

    def test_an_optimized_one_lies_beside_the_other(self):
        provider = self.provider()
        plain = provider.provide(self.wanted())
        optimized = provider.provide(self.wanted(optimized=True))
        self.assertEqual(optimized, str(places.builds() / "3.97.1t-optimized/bin/python3.97t"))
        self.assertEqual(provider.provide(self.wanted()), plain)

    def test_a_build_that_fails_leaves_a_log_and_nothing_else(self):
        provider = self.provider(install_ends_with="@echo the disk is full; exit 1")
        with self.assertRaisesRegex(Refused, "(?s)the disk is full.*3.97.1t.log"):
            provider.provide(self.wanted())
        self.assertEqual(self.left_over(), [])
        self.assertFalse((places.builds() / "3.97.1t").exists())

    def test_a_build_that_does_not_run_is_refused(self):
        with self.assertRaisesRegex(Refused, "does not suit"):
            self.provider(name="python3.97").provide(self.wanted())

    def test_what_a_killed_run_left_is_in_nobodys_way(self):
        faked.executable(places.builds() / ".3.97.1t.work/staging/bin/python3.97t", "3.97.1")
        self.provider().provide(self.wanted())
        self.assertEqual(self.left_over(), [])

    def test_one_replaces_what_no_longer_runs(self):
        broken = faked.script(places.builds() / "3.97.1t/bin/python3.97t", "#!/bin/sh\nexit 127\n")
        self.assertEqual(self.provider().provide(self.wanted()), str(broken))

    def test_of_two_runs_at_once_one_builds(self):
        provider = self.provider()
        answers = queue.Queue()
        with building.alone("3.97.1t", Progress(Said())):
            other = threading.Thread(target=lambda: answers.put(provider.provide(self.wanted())))
            other.start()
            self.said.wait_for("Waiting for another run")
            mine = faked.executable(places.builds() / "3.97.1t/bin/python3.97t", "3.97.1")
        other.join()
        self.assertEqual(answers.get(timeout=60), str(mine))
        self.assertNotIn("Built", self.said.text)


if __name__ == "__main__":
    unittest.main()
