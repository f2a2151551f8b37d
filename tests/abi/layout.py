"""The layout of the C ABI, as the compiler sees it, and what of it has changed.

    layout.py write FILE INCLUDES...      writes it into a file
    layout.py check FILE INCLUDES...      compares; the status is 1 when something has changed that may not

INCLUDES: the directory that has erlang_python, then others the compiler needs. CC in the environment names that. Structs
are found by reading the headers, which are of one style; where their fields lie is asked of the compiler, and a field that
was overlooked shows as a hole. Names of parameters are no part of it.

Tables, which begin with an ep_header or with their size, may grow at their ends. Everything else stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HEADERS = ("abi.h", "flat.h", "host.h", "plugin.h", "backend.h")
PREAMBLE = """\
# The layout of the ABI with 64-bit pointers: offset, size and alignment, name, type. Kept by abi.dump, see layout.py.
"""


class Struct:
    def __init__(self, name: str, fields: list[tuple[str, str]]) -> None:
        self.name = name
        self.fields = fields  # name, type


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def split(text: str, separator: str) -> list[str]:
    """At separators outside of parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in map(str.strip, parts) if part]


def unnamed(declaration: str) -> tuple[str, str]:
    """The name that is declared, "" when there is none, and the type without names of parameters."""
    pointer = re.fullmatch(r"(.*?)\(\s*\*\s*(\w*)\s*\)\s*\((.*)\)", declaration, flags=re.DOTALL)
    if pointer:
        returns, name, parameters = pointer.groups()
        types = [unnamed(parameter)[1] for parameter in split(parameters, ",")]
        return name, f"{spaced(returns)} (*)({', '.join(types)})"
    array = re.fullmatch(r"(.*?)(\w+)\s*\[(\w+)\]", declaration, flags=re.DOTALL)
    if array:
        return array[2], f"{spaced(array[1])}[{array[3]}]"
    plain = re.fullmatch(r"(.*[\s*])(\w+)", declaration, flags=re.DOTALL)
    if plain and spaced(plain[1]) not in ("const", "unsigned", "struct"):
        return plain[2], spaced(plain[1])
    return "", spaced(declaration)


def spaced(text: str) -> str:
    return re.sub(r"\s*\*\s*", " *", " ".join(text.split())).strip()


def structs(text: str) -> list[Struct]:
    found = re.findall(r"typedef struct \w+ \{(.*?)\}\s*(\w+)\s*;", text, flags=re.DOTALL)
    return [Struct(name, [unnamed(field) for field in split(body, ";")]) for body, name in found]


def constants(text: str) -> list[str]:
    defines = re.findall(r"^#define (EP_\w+) +-?\d\w*[ \t]*$", text, flags=re.MULTILINE)
    enums = re.findall(r"typedef enum \w+ \{(.*?)\}", text, flags=re.DOTALL)
    return [name for name in defines if not re.fullmatch("EP_ABI_M(AJ|IN)OR", name)] + [
        item.split("=")[0].strip() for body in enums for item in split(body, ",")
    ]


def functions(text: str) -> list[str]:
    found = re.findall(r"typedef ([^;{}]*\(\*\w+\)[^;{}]*);", text)
    return [f"function {name} {type_}" for name, type_ in map(unnamed, found)]


def program(found: list[Struct], names: list[str]) -> str:
    lines = [f"#include <erlang_python/{header}>" for header in HEADERS]
    lines += ["#include <stdio.h>", "int main(void) {"]
    for struct in found:
        lines.append(f'printf("struct {struct.name} %zu\\n", sizeof({struct.name}));')
        for name, type_ in struct.fields:
            field = f"(({struct.name} *)0)->{name}"
            lines.append(
                f'printf("  %zu %zu %zu {name} {type_}\\n", offsetof({struct.name}, {name}), sizeof({field}), '
                f"_Alignof(__typeof__({field})));"
            )
    lines += [f'printf("constant {name} %lld\\n", (long long)({name}));' for name in names]
    return "\n".join([*lines, 'printf("pointer %zu\\n", sizeof(void *));', "return 0;", "}", ""])


def layout(includes: list[str]) -> str:
    text = "".join(without_comments((Path(includes[0]) / "erlang_python" / header).read_text()) for header in HEADERS)
    with tempfile.TemporaryDirectory() as directory:
        source, binary = Path(directory, "layout.c"), Path(directory, "layout")
        source.write_text(program(structs(text), constants(text)))
        options = [word for include in includes for word in ("-I", include)]
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", *options, "-o", binary, source], check=True)
        printed = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    lines = printed.splitlines()
    if lines.pop() != "pointer 8":
        print("pointers have other sizes here")
        sys.exit(77)
    check_holes(lines)
    return PREAMBLE + "\n".join([*lines, *functions(text)]) + "\n"


def check_holes(lines: list[str]) -> None:
    """Between two fields there is nothing but padding, or this program has overlooked something."""
    end, struct = 0, ""
    for line in [*lines, "struct end 0"]:
        words = line.split()
        if words[0] == "struct":
            if struct and -(-end // most) * most != size:
                sys.exit(f"{struct} has {size} bytes, and its fields {end}: one was overlooked")
            end, most, struct, size = 0, 1, words[1], int(words[2])
        elif words[0].isdigit():
            offset, width, alignment = map(int, words[:3])
            if offset != -(-end // alignment) * alignment:
                sys.exit(f"there is a hole before {struct}.{words[3]}: a field was overlooked")
            end, most = offset + width, max(most, alignment)


def parse(text: str) -> dict[str, tuple[str, list[str]]]:
    """By name: what is said of it, and the lines of its fields."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("  "):
            found[name][1].append(line.strip())
        elif line and not line.startswith("#"):
            kind, name, rest = line.split(" ", 2)
            name = f"{kind} {name}"
            found[name] = (rest, [])
    return found


def compare(kept: str, now: str) -> tuple[list[str], list[str]]:
    """What is broken, and what was added."""
    before, after = parse(kept), parse(now)
    broken, added = [], [f"{name} is new" for name in after if name not in before]
    for name, (rest, fields) in before.items():
        if name not in after:
            broken.append(f"{name} is gone")
            continue
        new_rest, new_fields = after[name]
        for index, field in enumerate(fields):
            new = new_fields[index] if index < len(new_fields) else "nothing"
            if new != field:
                broken.append(f"{name}: where there was `{field}` there is `{new}` (offset, size, alignment, name, type)")
                break
        else:
            if not name.startswith("struct "):
                if rest != new_rest:
                    broken.append(f"{name} was `{rest}` and is `{new_rest}`")
            elif (len(fields), rest) != (len(new_fields), new_rest):
                is_table = fields[0].split()[3:] in (["header", "ep_header"], ["size", "uint32_t"])
                text = f"{name} has grown from {rest} to {new_rest} bytes"
                (added if is_table else broken).append(text if is_table else f"{text}, and says its size nowhere")
    return broken, added


def main(command: str, file: str, *includes: str) -> int:
    now = layout(list(includes))
    if command == "write":
        Path(file).write_text(now)
        return 0
    broken, added = compare(Path(file).read_text(), now)
    for line in broken:
        print(f"BROKEN {line}")
    for line in added:
        print(f"added  {line}")
    if broken:
        print("Binaries that were built before would not fit. A changed meaning is a new field, at the end of a table.")
    elif added:
        print("That needs a greater EP_ABI_MINOR, and a dump of its own (layout.py write) before it is released.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
