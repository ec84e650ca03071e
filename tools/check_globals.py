#!/usr/bin/env python3
"""Fails when a library of ours holds writable state at file scope (or static in a function).

    check_globals.py BUILD_DIR      check the static libraries there (neither LTO nor sanitizers)
    check_globals.py --self-test    show that violations are found
"""

import pathlib
import subprocess
import sys
import tempfile

from layers import run_library_check

WRITABLE = (".data", ".bss", ".tdata", ".tbss", "*COM*")


def writable_symbols(path):
    """(member, section, symbol) of objects in writable sections."""
    output = subprocess.run(["objdump", "-t", str(path)], check=True, capture_output=True,
                            text=True).stdout
    member, result = "?", []
    for line in output.splitlines():
        if line.endswith(("file format elf64-x86-64", "file format elf64-littleaarch64")):
            member = line.split(":")[0]
        left, tab, right = line.partition("\t")
        words = left.split()
        if not tab or len(words) < 3 or words[-2] == "d" or words[-1] == "d":
            continue
        section, name = words[-1], right.split()[-1]
        # constants that hold pointers are made read-only after loading
        if section.startswith(".data.rel.ro"):
            continue
        is_section_symbol = name == section
        if section.startswith(WRITABLE) and not is_section_symbol:
            result.append((member, section, name))
    return result


def check(build):
    problems = []
    libraries = sorted(build.glob("libroost_*.a"))
    libraries = [path for path in libraries if path.name != "libroost_test_support.a"]
    for path in libraries:
        for member, section, name in writable_symbols(path):
            problems.append(f"{path.name}: {member}: {name} is writable ({section})")
    return problems, len(libraries)


SELF_TEST = """
static int counter;
static int started = 1;
static __thread int per_thread;
extern const char *const names[];
const char *const names[] = { "constant", "pointers" };
static const int table[] = { 1, 2, 3 };
int f(int i);
int f(int i)
{
    static int calls;
    per_thread += i;
    calls++;
    started += calls;
    counter += started + per_thread;
    return counter + table[i] + names[i][0];
}
"""


def self_test():
    with tempfile.TemporaryDirectory() as name:
        build = pathlib.Path(name)
        (build / "part.c").write_text(SELF_TEST)
        subprocess.run(["cc", "-fPIE", "-c", str(build / "part.c"), "-o", str(build / "part.o")],
                       check=True)
        subprocess.run(["ar", "rc", str(build / "libroost_part.a"), str(build / "part.o")],
                       check=True)
        found, _ = check(build)
    names = ["counter", "started", "per_thread", "calls"]
    failures = [f"not found: {name}" for name in names if not any(name in line for line in found)]
    if len(found) != len(names):
        failures.append(f"{len(names)} expected, found {found}")
    return failures, 1


if __name__ == "__main__":
    sys.exit(run_library_check("check_globals", check, self_test))
