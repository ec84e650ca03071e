#!/usr/bin/env python3
"""Fails when a library of a pure folder needs a socket, clock, thread, random or file symbol, or
anything that a library of ours which is not pure defines.

    check_pure.py BUILD_DIR      check the static libraries there (not of an LTO build)
    check_pure.py --self-test    show that violations are found
"""

import pathlib
import subprocess
import sys
import tempfile

from layers import library_file, matches_any, read_layers, read_table, run_library_check

ROOT = pathlib.Path(__file__).resolve().parent.parent


def symbols(path, option):
    """(member, symbol) pairs of nm."""
    output = subprocess.run(["nm", "-A", option, "--format=posix", str(path)], check=True,
                            capture_output=True, text=True).stdout
    result = []
    for line in output.splitlines():
        place, _, rest = line.partition("]: ")
        if rest:
            # "name@VERSION" of shared libraries does not occur in archives
            result.append((place.rpartition("[")[2], rest.split()[0]))
    return result


def kind_of(table, symbol):
    # fortified variants: __read_chk
    plain = symbol[2:-4] if symbol.startswith("__") and symbol.endswith("_chk") else symbol
    for kind, patterns in table.items():
        if matches_any(patterns, symbol) or matches_any(patterns, plain):
            return kind
    return None


def check(root, build):
    layers = read_layers(root)
    table = read_table(root / "tools" / "impure_symbols.txt")
    libraries = {folder: build / library_file(folder) for folder in layers.order}
    impure_definitions = {}
    for folder, path in libraries.items():
        if folder not in layers.pure and path.exists():
            for _, symbol in symbols(path, "--defined-only"):
                impure_definitions[symbol] = folder
    problems, count = [], 0
    for folder in layers.order:
        path = libraries[folder]
        if folder not in layers.pure or not path.exists():
            continue
        count += 1
        for member, symbol in symbols(path, "--undefined-only"):
            kind = kind_of(table, symbol)
            if kind:
                problems.append(f"{folder}: {member} needs {symbol} ({kind})")
            elif symbol in impure_definitions:
                problems.append(
                    f"{folder}: {member} needs {symbol} of {impure_definitions[symbol]}")
    return problems, count


SELF_TEST = {
    "base": ("int f(const char *text); int f(const char *text) { return text[0]; }", None),
    "runtime": ("int clock_now(void); int clock_now(void) { return 1; }", None),
    "rtc": ("#include <time.h>\nlong f(void); long f(void) { return time(0); }", "needs time (clock)"),
    "room": ("int clock_now(void); int f(void); int f(void) { return clock_now(); }",
             "needs clock_now of runtime"),
    "media": ("#include <unistd.h>\nint f(void); int f(void) { return close(1); }",
              "needs close (file)"),
    "proto/rtp": ("#include <pthread.h>\nint f(pthread_mutex_t *m);\n"
                  "int f(pthread_mutex_t *m) { return pthread_mutex_lock(m); }",
                  "needs pthread_mutex_lock (thread)"),
}


def self_test():
    tools = ROOT / "tools"
    failures = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "tools").mkdir()
        (root / "src").mkdir()
        (root / "tools" / "impure_symbols.txt").write_text((tools / "impure_symbols.txt").read_text())
        lines = [folder + (":" if folder == "runtime" else " pure:") for folder in SELF_TEST]
        (root / "src" / "layers.txt").write_text("\n".join(lines) + "\n")
        for folder, (code, _) in SELF_TEST.items():
            source = root / "part.c"
            source.write_text(code)
            subprocess.run(["cc", "-O1", "-c", str(source), "-o", str(root / "part.o")], check=True)
            library = root / library_file(folder)
            subprocess.run(["ar", "rc", str(library), str(root / "part.o")], check=True)
        problems, _ = check(root, root)
        for folder, (_, expected) in SELF_TEST.items():
            found = [problem for problem in problems if problem.startswith(folder + ":")]
            if expected is None and found:
                failures.append(f"{folder}: refused: {found}")
            if expected is not None and not any(expected in problem for problem in found):
                failures.append(f"{folder}: not found: {expected} in {found}")
    return failures, len(SELF_TEST)


if __name__ == "__main__":
    sys.exit(run_library_check("check_pure", lambda build: check(ROOT, build), self_test))
