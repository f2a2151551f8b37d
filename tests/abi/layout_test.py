"""What layout.py says about headers that somebody has changed: layout_test.py INCLUDES..."""

from __future__ import annotations

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import layout

INCLUDES: list[str] = []


class Changes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.before = layout.layout(INCLUDES)

    def changed(self, header: str, old: str, new: str) -> tuple[list[str], list[str]]:
        """What is broken and what was added when a text in a header is another."""
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory, "erlang_python")
            shutil.copytree(Path(INCLUDES[0], "erlang_python"), copy)
            text = (copy / header).read_text()
            self.assertEqual(text.count(old), 1, old)
            (copy / header).write_text(text.replace(old, new))
            return layout.compare(self.before, layout.layout([directory, *INCLUDES[1:]]))

    def breaks(self, header: str, old: str, new: str, what: str) -> None:
        broken, _ = self.changed(header, old, new)
        self.assertIn(what, "\n".join(broken))

    def test_nothing(self) -> None:
        self.assertEqual(layout.compare(self.before, self.before), ([], []))

    def test_a_number_of_the_version_is_no_part_of_it(self) -> None:
        self.assertEqual(self.changed("abi.h", "#define EP_ABI_MINOR ", "#define EP_ABI_MINOR 7"), ([], []))

    def test_a_parameter_may_have_another_name(self) -> None:
        self.assertEqual(self.changed("plugin.h", "(*release)(void *owner)", "(*release)(void *what)"), ([], []))

    def test_a_table_may_grow(self) -> None:
        end = "const ep_host *host, ep_error *error);\n} ep_plugin;"
        more = "const ep_host *host, ep_error *error);\n    void (*close)(void);\n} ep_plugin;"
        broken, added = self.changed("plugin.h", end, more)
        self.assertEqual(broken, [])
        self.assertEqual(added, ["struct ep_plugin has grown from 32 to 40 bytes"])

    def test_a_struct_that_begins_with_its_size_may_grow(self) -> None:
        broken, added = self.changed("backend.h", "no limit */\n} ep_open;", "no limit */\n    void *more;\n} ep_open;")
        self.assertEqual((broken, added), ([], ["struct ep_open has grown from 16 to 24 bytes"]))

    def test_a_new_constant_and_a_new_struct_are_added(self) -> None:
        new = "#define EP_OK 0\n#define EP_NEVER 99\ntypedef struct ep_new {\n    uint32_t one;\n} ep_new;\n"
        broken, added = self.changed("abi.h", "#define EP_OK 0\n", new)
        self.assertEqual((broken, sorted(added)), ([], ["constant EP_NEVER is new", "struct ep_new is new"]))

    def test_a_field_that_is_gone(self) -> None:
        self.breaks("plugin.h", "    void *owner;  ", "    //", "struct ep_call: where there was `48 8 8 owner void *`")

    def test_fields_that_have_changed_places(self) -> None:
        self.breaks(
            "host.h",
            "void (*env_give)(ErlNifEnv *env);\n",
            "",
            "struct ep_host: where there was `24 8 8 env_give void (*)(ErlNifEnv *)`",
        )

    def test_a_field_in_the_middle(self) -> None:
        self.breaks("host.h", "    ErlNifEnv *(*env_take)", "    void *more;\n    ErlNifEnv *(*env_take)", "struct ep_host")

    def test_a_field_of_another_name(self) -> None:
        self.breaks("host.h", "    uint32_t directions;", "    uint32_t ways;", "`4 4 4 ways uint32_t`")

    def test_a_field_of_another_type(self) -> None:
        self.breaks("abi.h", "    uint16_t minor;", "    int16_t minor;", "`2 2 2 minor int16_t`")

    def test_a_function_with_other_parameters(self) -> None:
        self.breaks("host.h", "int32_t (*take_atom)(void);", "int32_t (*take_atom)(int);", "take_atom int32_t (*)(int)")

    def test_a_function_type_with_other_parameters(self) -> None:
        self.breaks("plugin.h", "(*ep_function_body)(ep_call *call)", "(*ep_function_body)(int)", "ep_function_body")

    def test_a_constant_of_another_value(self) -> None:
        self.breaks("abi.h", "#define EP_PENDING 10", "#define EP_PENDING 20", "constant EP_PENDING was `10` and is `20`")

    def test_a_constant_that_is_gone(self) -> None:
        self.breaks("plugin.h", "#define EP_FUNCTION_VIEW 8u", "", "constant EP_FUNCTION_VIEW is gone")

    def test_growth_of_what_does_not_say_its_size(self) -> None:
        self.breaks("abi.h", "    size_t size;\n} ep_slice;", "    size_t size;\n    void *owner;\n} ep_slice;", "struct ep_")

    def test_a_field_that_is_overlooked_is_an_error(self) -> None:
        with self.assertRaisesRegex(SystemExit, "overlooked"):
            self.changed("backend.h", "    uint64_t used;\n", "    uint64_t used;\n    uint64_t odd, both;\n")


if __name__ == "__main__":
    INCLUDES.extend(sys.argv[1:])
    unittest.main(argv=sys.argv[:1])
