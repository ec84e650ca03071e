#!/usr/bin/env python3
"""Says which tests of a suite failed, and how, from what the suite left behind.

    failed_tests.py show KIND RESULT [FILE...]     each with what it said, bounded; nothing when none can
                                                   be named
    failed_tests.py brief KIND RESULT [FILE...]    the same in a few lines, of the first one alone
    failed_tests.py names KIND RESULT [FILE...]    a line for each: "FILE: TEST"
    failed_tests.py again KIND RESULT              what may be tried once more: lines "COUNT FILE"
    failed_tests.py --self-test

KIND and RESULT are those of count_tests.py. A FILE is a file of node tests, or a program of ctest; when
some are named, only theirs are looked at.
"""

import dataclasses
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

TESTS_SHOWN = 10
LINES_SHOWN = 45  # of one test
LINES_BRIEF = 8
NAMES_SHOWN = 15
WIDTH = 240
NOTHING = ["(it said nothing)"]
AGAIN_MOST = 3  # files; when more failed, it was not bad luck

# what a sanitizer found is true, however rarely it comes
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


@dataclasses.dataclass
class Failure:
    file: str
    name: str  # empty when the file as a whole failed
    count: int  # as count_tests.py counts it; a test whose parts failed adds one, and is not listed
    said: list  # lines

    def title(self):
        return f"{self.file}: {self.name}" if self.name else self.file


def bounded(lines, most):
    """Beginning and end, or, when a sanitizer speaks in between, its report."""
    lines = [line.rstrip()[:WIDTH] for line in lines]
    if len(lines) <= most:
        return lines
    for at, line in enumerate(lines):
        if SANITIZER.search(line):
            return lines[at:at + most]
    head = most // 2
    tail = most - head - 1
    return [*lines[:head], f"... {len(lines) - head - tail} lines", *lines[len(lines) - tail:]]


# --- node: TAP ---------------------------------------------------------------------------------------

POINT = re.compile(r"^( *)(not )?ok \d+ - (.*)$")
SUBTEST = re.compile(r"^( *)# Subtest: (.*)$")
DIRECTIVE = re.compile(r" # (SKIP|TODO)\b")
LOCATION = re.compile(r"^(.*?)(?::\d+:\d+)?$")
INSIDE_NODE = re.compile(r"\(?node:internal|node:async_hooks")


def tap_text(text):
    return re.sub(r"\\([\\#])", r"\1", text)


def tap_details(lines):
    """The YAML block of a point, as far as node writes it: keys with one line or an indented text."""
    details, key = {}, None
    for line in lines:
        found = re.match(r"^(\w+): ?(.*)$", line)
        if found:
            key = found.group(1)
            value = found.group(2)
            details[key] = [] if value in ("|-", "|", ">-") else [value.strip("'")]
        elif key is not None:
            details[key].append(line.removeprefix("  "))
    return details


def relative(path):
    try:
        return str(pathlib.Path(path).relative_to(pathlib.Path.cwd()))
    except ValueError:
        return path


def failed_node(text):
    failures, names, comments = [], {}, []
    lines = iter(text.splitlines())
    for line in lines:
        subtest = SUBTEST.match(line)
        if subtest:
            names[len(subtest.group(1))] = tap_text(subtest.group(2))
            continue
        point = POINT.match(line)
        if not point:
            if line.startswith("# "):
                comments.append(tap_text(line[2:]))
            continue
        indent, bad, name = len(point.group(1)), point.group(2), point.group(3)
        printed, comments = comments, []
        if not bad or DIRECTIVE.search(name):
            continue
        block = []
        for line in lines:
            if line.strip() == "...":
                break
            if line.strip() != "---":
                block.append(line[indent + 2:])
        details = tap_details(block)
        if details.get("type") == ["suite"]:
            continue
        name = tap_text(name)
        file = relative(LOCATION.match(" ".join(details.get("location", [""]))).group(1))
        parents = [names[depth] for depth in sorted(names) if depth < indent]
        # a part's point comes before its parent's
        if details.get("failureType") == ["subtestsFailed"]:
            if failures:
                failures[-1].count += 1
            continue
        whole = relative(name) == file
        said = [*details.get("error", []), *details.get("cause", [])]
        for key in ("expected", "actual"):
            if key in details:
                said += [f"{key}: {details[key][0]}", *details[key][1:]]
        if details.get("exitCode"):
            said.append(f"exit code {details['exitCode'][0]}, signal {details.get('signal', ['~'])[0]}")
        said = [*said, *(f"  at {frame}" for frame in details.get("stack", [])
                         if not INSIDE_NODE.search(frame))]
        if "stack" not in details and not whole:
            said.append(f"  at {details.get('location', ['?'])[0]}")
        if printed and whole:
            said = [*printed, *said]
        elif printed:
            said += ["printed before:", *printed[-15:]]
        failures.append(Failure(file or name, "" if whole else " > ".join([*parents, name]), 1, said))
    return failures


# --- ctest: JUnit ------------------------------------------------------------------------------------

CMOCKA_RUN = re.compile(r"^\[ RUN      \] (\w+)")
CMOCKA_BAD = re.compile(r"^\[  (?:FAILED|ERROR)  \] (\w+)\s*$")


def failed_ctest(text):
    failures = []
    for case in ElementTree.fromstring(text).iter("testcase"):
        lines = (case.findtext("system-out") or "").splitlines()
        empty = "[==========] Running 0 test(s)." in lines
        if case.get("status") == "run" and not empty:
            continue
        found, name, since = [], None, []
        for line in lines:
            run = CMOCKA_RUN.match(line)
            bad = CMOCKA_BAD.match(line)
            if run:
                name, since = run.group(1), []
            elif bad and name == bad.group(1):
                found.append(Failure(case.get("name"), name, 1, since))
                name, since = None, []
            elif line.startswith("[       OK ]"):
                name, since = None, []
            else:
                since.append(line)
        if not found:
            # it died, perhaps in a test, or what was found after the last one made it fail
            found = [Failure(case.get("name"), name or "", 1, since if name else lines)]
            message = case.find("failure")
            if message is not None and message.get("message"):
                found[0].said = [message.get("message"), *found[0].said]
        failures += found
    return failures


# --- lines "ok ..." and "FAIL ..." -------------------------------------------------------------------

def failed_lines(text):
    failures = []
    for line in text.splitlines():
        if re.match(r"FAIL\b", line):
            failures.append(Failure(line.removeprefix("FAIL").strip(), "", 1, []))
        elif failures and line.startswith("    "):
            failures[-1].said.append(line)
    return failures


# --- what is printed ---------------------------------------------------------------------------------

def show(failures):
    lines = []
    for failure in failures[:TESTS_SHOWN]:
        lines.append(f"----- failed: {failure.title()}")
        lines += [f"      {line}" for line in bounded(failure.said or NOTHING, LINES_SHOWN)]
    if len(failures) > TESTS_SHOWN:
        lines.append(f"----- and {len(failures) - TESTS_SHOWN} more")
    return lines


def brief(failures):
    if not failures:
        return []
    said = bounded(failures[0].said or NOTHING, LINES_BRIEF)
    return [f"{failures[0].title()}:", *(f"      {line}" for line in said)]


def names(failures):
    lines = [failure.title() for failure in failures[:NAMES_SHOWN]]
    if len(failures) > NAMES_SHOWN:
        lines.append(f"and {len(failures) - NAMES_SHOWN} more")
    return lines


def again(failures):
    counts = {}
    for failure in failures:
        counts[failure.file] = counts.get(failure.file, 0) + failure.count
    found = any(SANITIZER.search(line) for failure in failures for line in failure.said)
    if found or len(counts) > AGAIN_MOST:
        return []
    return [f"{count} {file}" for file, count in counts.items()]


def self_test():
    log = """TAP version 13
# Subtest: good
ok 1 - good
  ---
  duration_ms: 0.9
  ...
# the server says 1
# Subtest: calls \\#1
not ok 2 - calls \\#1
  ---
  duration_ms: 0.5
  location: '/x/a.test.mjs:4:1'
  failureType: 'testCodeFailure'
  error: |-
    one is not two
    ok 9 - this is no point
  expected: 2
  actual: 1
  stack: |-
    TestContext.<anonymous> (file:///x/a.test.mjs:4:32)
    Test.run (node:internal/test_runner/test:796:25)
  ...
# Subtest: outer
    # Subtest: inner
    not ok 1 - inner
      ---
      location: '/x/a.test.mjs:5:46'
      failureType: 'testCodeFailure'
      error: 'boom'
      ...
    1..1
not ok 3 - outer
  ---
  location: '/x/a.test.mjs:5:1'
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
# Subtest: described
    # Subtest: part
    not ok 1 - part # TODO later
      ---
      location: '/x/a.test.mjs:6:46'
      ...
    1..1
not ok 4 - described
  ---
  type: 'suite'
  location: '/x/a.test.mjs:6:1'
  failureType: 'subtestsFailed'
  ...
# Error: Cannot find module
# Subtest: /x/b.test.mjs
not ok 5 - /x/b.test.mjs
  ---
  location: '/x/b.test.mjs:1:1'
  failureType: 'testCodeFailure'
  exitCode: 1
  signal: ~
  error: 'test failed'
  ...
# fail 4
"""
    node = failed_node(log)

    def junit(name, status, output):
        return (f'<testsuite><testcase name="{name}" status="{status}"><failure message="Failed"/>'
                f"<system-out>{output}</system-out></testcase></testsuite>")

    cmocka = ("[==========] tests: Running 2 test(s).\n[ RUN      ] test_x\nnot this\n[       OK ] test_x\n"
              "[ RUN      ] test_y\n[  ERROR   ] --- 1 != 2\n[   LINE   ] --- a.c:3: error: Failure!\n"
              "[  FAILED  ] test_y\n[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] test_y\n")
    ctest = failed_ctest(junit("unit/a/b", "fail", cmocka))
    died = failed_ctest(junit("unit/a/b", "fail", "[ RUN      ] test_x\nERROR: AddressSanitizer: x"))
    fuzz = failed_lines("ok   fuzz_a\nFAIL fuzz_b: see log\n    crash\nok   fuzz_c\n")
    many = [Failure(f"f{at}", "n", 1, []) for at in range(20)]
    cases = [
        (names(node), ["/x/a.test.mjs: calls #1", "/x/a.test.mjs: outer > inner", "/x/b.test.mjs"]),
        (node[0].said, ["one is not two", "ok 9 - this is no point", "expected: 2", "actual: 1",
                        "  at TestContext.<anonymous> (file:///x/a.test.mjs:4:32)",
                        "printed before:", "the server says 1"]),
        (node[2].said, ["Error: Cannot find module", "test failed", "exit code 1, signal ~"]),
        (again(node), ["3 /x/a.test.mjs", "1 /x/b.test.mjs"]),
        (show(node)[:2], ["----- failed: /x/a.test.mjs: calls #1", "      one is not two"]),
        (brief(node)[:2], ["/x/a.test.mjs: calls #1:", "      one is not two"]),
        (failed_node("SyntaxError: x"), []),
        (names(ctest), ["unit/a/b: test_y"]),
        (ctest[0].said, ["[  ERROR   ] --- 1 != 2", "[   LINE   ] --- a.c:3: error: Failure!"]),
        (again(ctest), ["1 unit/a/b"]),
        (names(died), ["unit/a/b: test_x"]),
        (died[0].said, ["Failed", "ERROR: AddressSanitizer: x"]),
        (again(died), []),
        (failed_ctest(junit("unit/a/b", "run", "[  PASSED  ] 2 test(s).")), []),
        (names(failed_ctest(junit("a", "run", "[==========] Running 0 test(s).\n"))), ["a"]),
        (names(fuzz), ["fuzz_b: see log"]),
        (fuzz[0].said, ["    crash"]),
        (again(many), []),
        (len(names(many)), NAMES_SHOWN + 1),
        (show(many)[-1], "----- and 10 more"),
        (bounded(["a", "b", "c", "d", "e"], 3), ["a", "... 3 lines", "e"]),
        (bounded([*"abc", "x.c:1: runtime error: y", *"def"], 2), ["x.c:1: runtime error: y", "d"]),
        (brief([]), []),
        (brief(many), ["f0: n:", "      (it said nothing)"]),
    ]
    wrong = [case for case in cases if case[0] != case[1]]
    for found, expected in wrong:
        print(f"found {found}, expected {expected}")
    print(f"failed_tests: {len(cases)} cases, {len(wrong)} problems")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    readers = {"ctest": failed_ctest, "node": failed_node, "lines": failed_lines}
    printers = {"show": show, "brief": brief, "names": names, "again": again}
    path = pathlib.Path(sys.argv[3])
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    failures = readers[sys.argv[2]](text) if text else []
    if sys.argv[4:]:
        failures = [failure for failure in failures if failure.file in sys.argv[4:]]
    for line in printers[sys.argv[1]](failures):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
