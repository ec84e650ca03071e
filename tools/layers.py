"""Reads src/layers.txt: what the checks of layers, purity and globals share."""

import argparse
import pathlib
import re


class Layers:
    def __init__(self, text):
        self.order = []  # folders, lowest first; "main" stands for src/*.c
        self.allowed = {}  # folder -> set of folders it may include
        self.pure = set()
        self.libraries = {}  # library -> set of folders
        self.problems = []
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if line:
                self._read(number, line)

    def _read(self, number, line):
        head, colon, tail = line.partition(":")
        names = tail.split()
        if not colon:
            self.problems.append(f"layers.txt:{number}: no colon")
            return
        words = head.split()
        if words[0] == "library":
            self.libraries[words[1]] = set(names)
            unknown = [name for name in names if name not in self.allowed]
        else:
            folder = words[0]
            if "pure" in words[1:]:
                self.pure.add(folder)
            unknown = [name for name in names if name not in self.allowed]
            self.order.append(folder)
            self.allowed[folder] = set(names)
            if folder in self.pure:
                impure = [name for name in names if name in self.allowed and name not in self.pure]
                for name in impure:
                    self.problems.append(
                        f"layers.txt:{number}: {folder} is pure and may not use {name}, which is not")
        for name in unknown:
            # an edge to a later line would let a cycle in
            self.problems.append(f"layers.txt:{number}: {name} is not on an earlier line")


def read_layers(root):
    with open(root / "src" / "layers.txt", encoding="utf-8") as file:
        return Layers(file.read())


def library_file(folder):
    return "libroost_" + folder.replace("/", "_") + ".a"


def read_table(path):
    """Lines "head: words" with # comments, as a dict of lists."""
    table = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            head, _, tail = line.partition(":")
            table.setdefault(head.strip(), []).extend(tail.split())
    return table


def matches_any(patterns, text):
    return any(re.fullmatch(pattern, text) for pattern in patterns)


def report(name, problems, count, unit):
    """Prints what a check found; returns its exit status. A check that looked at nothing fails."""
    for problem in problems:
        print(problem)
    print(f"{name}: {count} {unit}, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


def run_library_check(name, check, self_test):
    """The command line of a check of built libraries. Both functions return (problems, count)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        problems, count = self_test()
    elif arguments.build:
        problems, count = check(arguments.build)
    else:
        parser.error("a build folder is needed")
    return report(name, problems, count, "libraries")
