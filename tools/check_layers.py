#!/usr/bin/env python3
"""Fails on any #include of src/ that src/layers.txt or tools/headers.txt does not allow.

    check_layers.py [--root DIR]    check the tree
    check_layers.py --self-test     show that each kind of violation is found
"""

import argparse
import pathlib
import re
import sys
import tempfile

from layers import matches_any, read_layers, read_table, report

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def folder_of(source, path):
    parent = path.relative_to(source).parent.as_posix()
    return "main" if parent == "." else parent


def own_include_problem(layers, folder, name):
    target = name.rpartition("/")[0]
    if not target:
        return f'"{name}" must be written with its folder'
    if target not in layers.allowed:
        return f'"{name}": no folder {target} in layers.txt'
    if target == folder:
        return None
    if name.endswith("_int.h"):
        return f'"{name}" is private to {target}'
    if target not in layers.allowed[folder]:
        return f'"{name}": {folder} may not include {target}'
    return None


def system_include_problem(layers, headers, folder, name):
    for head, patterns in headers.items():
        if head.startswith("library ") and matches_any(patterns, name):
            library = head.split()[1]
            if folder in layers.libraries.get(library, ()):
                return None
            return f"<{name}> belongs to the folders of library {library}"
    if matches_any(headers["pure"], name) or matches_any(headers.get(folder, ()), name):
        return None
    if folder in layers.pure:
        return f"<{name}>: {folder} is pure"
    if matches_any(headers["anywhere"], name):
        return None
    return f"<{name}> is a door to the system: use runtime/"


def check(root):
    """All problems as text, and the number of files looked at."""
    source = root / "src"
    layers = read_layers(root)
    headers = read_table(root / "tools" / "headers.txt")
    problems = list(layers.problems)
    files = sorted(path for path in source.rglob("*") if path.suffix in (".c", ".h", ".def"))
    for path in files:
        folder = folder_of(source, path)
        place = path.relative_to(root)
        if folder not in layers.allowed:
            problems.append(f"{place}: folder {folder} has no line in layers.txt")
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            if match[1] == '"':
                problem = own_include_problem(layers, folder, match[2])
            else:
                problem = system_include_problem(layers, headers, folder, match[2])
            if problem:
                line = text.count("\n", 0, match.start(2)) + 1
                problems.append(f"{place}:{line}: {problem}")
    return problems, len(files)


SELF_TEST_LAYERS = """
base pure:
runtime: base
rtc pure: base
signal: base runtime
main: base signal
library jansson: signal
"""

# path, line of code, part of the problem expected (None: allowed)
SELF_TEST_FILES = [
    ("base/fine.c", "#include <string.h>", None),
    ("signal/fine.c", '#include "runtime/loop.h"', None),
    ("signal/json.c", "#include <jansson.h>", None),
    ("runtime/socket.c", "#include <sys/socket.h>", None),
    ("base/upward.c", '#include "runtime/loop.h"', "base may not include runtime"),
    ("rtc/sideways.c", '  #  include "signal/call.h"', "rtc may not include signal"),
    ("signal/private.c", '#include "runtime/loop_int.h"', "private to runtime"),
    ("rtc/private.c", '#include "rtc/rtc_int.h"', None),
    ("rtc/socket.c", "#include <sys/socket.h>", "rtc is pure"),
    ("rtc/clock.h", "#include <time.h>", "rtc is pure"),
    ("signal/thread.c", "#include <pthread.h>", "door to the system"),
    ("rtc/json.c", "#include <jansson.h>", "library jansson"),
    ("base/bare.c", '#include "text.h"', "with its folder"),
    ("base/missing.c", '#include "nowhere/text.h"', "no folder nowhere"),
    ("stray/file.c", "#include <string.h>", "has no line in layers.txt"),
]


def self_test(tools):
    failures = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "tools").mkdir()
        (root / "tools" / "headers.txt").write_text((tools / "headers.txt").read_text())
        for path, code, _ in SELF_TEST_FILES:
            file = root / "src" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code + "\n")
        (root / "src" / "layers.txt").write_text(SELF_TEST_LAYERS)
        problems, _ = check(root)
        for path, _, expected in SELF_TEST_FILES:
            found = [problem for problem in problems if problem.startswith(f"src/{path}:")]
            if expected is None and found:
                failures.append(f"{path}: refused: {found}")
            if expected is not None and not any(expected in problem for problem in found):
                failures.append(f"{path}: not found: {expected}")
        (root / "src" / "layers.txt").write_text("base pure: runtime\nruntime:\n")
        problems, _ = check(root)
        if not any("earlier line" in problem for problem in problems):
            failures.append("an edge to a later line was not found")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        problems, count = self_test(arguments.root / "tools"), len(SELF_TEST_FILES)
    else:
        problems, count = check(arguments.root)
    return report("check_layers", problems, count, "files")


if __name__ == "__main__":
    sys.exit(main())
