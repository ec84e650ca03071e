#!/usr/bin/env python3
"""Compares tests/unit/broker/STATEMENTS.md with the tests that it names.

Every test that a row names is there; every test with a number in its name has that number in a row; and
the numbers of each section have no gap but those that the standard itself has.

    tools/check_statements.py [--self-test]
"""
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests/unit/broker"
# numbers that MQTT 5.0 has not given to anything
UNUSED = {"5.0": {"2.2.1-1"}, "3.1.1": set()}


def numbers_of(cell):
    """The numbers of a row's first cell: "3.1.2-11 to -13, -15" is four."""
    section, numbers, last, spans = None, [], 0, False
    for word in re.findall(r"to|(?:\d+(?:\.\d+)+)?-\d+", cell):
        if word == "to":
            spans = True
            continue
        named, number = word.rsplit("-", 1)
        section = named or section
        first = last + 1 if spans else int(number)
        numbers += [f"{section}-{n}" for n in range(first, int(number) + 1)]
        last, spans = int(number), False
    return numbers


def names_of(cell):
    """(file, pattern) of the tests that a row's second cell names."""
    for part in cell.split(";"):
        file, colon, rest = part.partition(":")
        files = [word.strip() for word in file.split(",")]
        if not colon or not all(re.fullmatch(r"(I/)?[a-z_]+", word) for word in files):
            continue
        if file.strip().startswith("I/"):
            for title in re.findall(r'"([^"]*)"', rest):
                yield file.strip(), title
            continue
        for word in re.findall(r"[a-z0-9_]+_[a-z0-9_]*\*?", rest):
            yield files[0], word


def tables_of(text):
    """{version: [(numbers, cell)]} of a document with a heading for each version."""
    tables, version = {}, None
    for line in text.splitlines():
        heading = re.fullmatch(r"## MQTT (\S+)", line)
        if heading:
            version = heading[1]
            tables[version] = []
        row = re.fullmatch(r"\| (\d.*?) \| (.*) \|", line)
        if row and version:
            tables[version].append((numbers_of(row[1]), row[2]))
    return tables


def problems_of(tables, tests, interop):
    """`tests`: {file: names of its tests}; `interop`: file -> its text, or None."""
    for version, rows in tables.items():
        known = [number for numbers, _ in rows for number in numbers]
        for number in sorted({number for number in known if known.count(number) > 1}):
            yield f"MQTT {version}: {number} stands in two rows"
        last = {}
        for number in known:
            section, n = number.rsplit("-", 1)
            last[section] = max(last.get(section, 0), int(n))
        for section, n in last.items():
            for number in (f"{section}-{i}" for i in range(1, n + 1)):
                if number not in known and number not in UNUSED[version]:
                    yield f"MQTT {version}: {number} is in no row"
        for numbers, cell in rows:
            for file, name in names_of(cell):
                if file.startswith("I/"):
                    if name not in (interop(file[2:]) or ""):
                        yield f"MQTT {version}: {numbers[0]} names a test that is not in {file}: {name}"
                elif not fnmatch.filter(tests.get(file, []), name):
                    yield f"MQTT {version}: {numbers[0]} names a test that is not in test_{file}.c: {name}"
    known = {number for rows in tables.values() for numbers, _ in rows for number in numbers}
    for file, names in tests.items():
        for name in names:
            match = re.match(r"mqtt_(\d+(?:_\d+)+)_", name)
            if match:
                section, n = match[1].rsplit("_", 1)
                number = f"{section.replace('_', '.')}-{n}"
                if number not in known:
                    yield f"test_{file}.c: {name}: {number} is in no row"


def tests_of(text):
    """Names of a file's tests: functions, and rows of tables."""
    return re.findall(r"cmocka_unit_test\w*\(test_(\w+)", text) + re.findall(r'^    \{ "(mqtt_\w+)"', text, re.M)


def self_test():
    assert numbers_of("3.1.2-11 to -13, -15, 4.1-2") == ["3.1.2-11", "3.1.2-12", "3.1.2-13", "3.1.2-15", "4.1-2"]
    text = "## MQTT 5.0\n| 1.1-1, -2 | a: one_b*, two_c |\n| 1.1-4 | I/x: \"a title\"; the client's |\n## MQTT 3.1.1\n| 2.1-1 | a: gone_d |\n"
    found = list(problems_of(tables_of(text), {"a": ["one_bc", "mqtt_1_1_2_e", "mqtt_9_1_1_f"]}, lambda file: "a tit"))
    assert [problem.split(": ", 1)[1] for problem in found] == [
        "1.1-3 is in no row", "1.1-1 names a test that is not in test_a.c: two_c", "1.1-4 names a test that is not in I/x: a title",
        "2.1-1 names a test that is not in test_a.c: gone_d", "mqtt_9_1_1_f: 9.1-1 is in no row"], found


def main():
    if "--self-test" in sys.argv:
        return self_test()

    def interop(name):
        path = ROOT / f"tests/interop/{name}.test.mjs"
        return path.read_text() if path.exists() else None

    tests = {path.stem.removeprefix("test_"): tests_of(path.read_text()) for path in FOLDER.glob("test_*.c")}
    problems = list(problems_of(tables_of((FOLDER / "STATEMENTS.md").read_text()), tests, interop))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
