#!/usr/bin/env python3
"""Counts what a test suite's log says: prints "PASSED FAILED".

    count_tests.py ctest JUNIT.xml    each cmocka test counts; a program without cmocka counts once
    count_tests.py node LOG           node's TAP output
    count_tests.py lines LOG          lines "ok ..." and "FAIL ..."
    count_tests.py --self-test
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.MULTILINE)
CMOCKA_FAILED = re.compile(r"^\[  FAILED  \] .*?(\d+) test\(s\), listed below", re.MULTILINE)


def count_ctest(text):
    passed = failed = 0
    for case in ElementTree.fromstring(text).iter("testcase"):
        output = case.findtext("system-out") or ""
        good = sum(int(number) for number in CMOCKA_PASSED.findall(output))
        bad = sum(int(number) for number in CMOCKA_FAILED.findall(output))
        program_passed = case.get("status") == "run"
        if program_passed and good == bad == 0:
            # a cmocka program that ran no test proves nothing
            if "[==========]" in output:
                bad = 1
            else:
                good = 1
        if not program_passed and bad == 0:
            bad = 1  # it crashed, hung, or a sanitizer spoke after the last test
        passed += good
        failed += bad
    return passed, failed


def count_node(text):
    def last(word):
        found = re.findall(rf"^# {word} (\d+)", text, re.MULTILINE)
        return int(found[-1]) if found else None

    passed, failed, cancelled = last("pass"), last("fail"), last("cancelled")
    if passed is None or failed is None:
        return 0, 1  # the runner itself broke
    return passed, failed + (cancelled or 0)


def count_lines(text):
    return (len(re.findall(r"^ok\b", text, re.MULTILINE)),
            len(re.findall(r"^FAIL\b", text, re.MULTILINE)))


def self_test():
    def junit(status, output):
        return (f'<testsuite><testcase name="a" status="{status}"><system-out>{output}'
                "</system-out></testcase></testsuite>")

    passed3 = "[==========] Running 3 test(s).\n[  PASSED  ] 3 test(s).\n"
    failed1 = ("[==========] Running 3 test(s).\n[  PASSED  ] 2 test(s).\n"
               "[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] test_x\n")
    cases = [
        (count_ctest(junit("run", passed3)), (3, 0)),
        (count_ctest(junit("fail", failed1)), (2, 1)),
        (count_ctest(junit("fail", passed3)), (3, 1)),
        (count_ctest(junit("fail", "Segmentation fault")), (0, 1)),
        (count_ctest(junit("run", "5 inputs")), (1, 0)),
        (count_ctest(junit("run", "[==========] Running 0 test(s).\n")), (0, 1)),
        (count_ctest("<testsuite></testsuite>"), (0, 0)),
        (count_node("# tests 3\n# pass 2\n# fail 1\n# cancelled 0\n"), (2, 1)),
        (count_node("# pass 2\n# fail 0\n# cancelled 1\n"), (2, 1)),
        (count_node("SyntaxError: ..."), (0, 1)),
        (count_lines("ok a\nFAIL b\nokay\n"), (1, 1)),
    ]
    wrong = [case for case in cases if case[0] != case[1]]
    for found, expected in wrong:
        print(f"found {found}, expected {expected}")
    print(f"count_tests: {len(cases)} cases, {len(wrong)} problems")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    counters = {"ctest": count_ctest, "node": count_node, "lines": count_lines}
    path = pathlib.Path(sys.argv[2])
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if not text:
        print("0 1")
    else:
        print(*counters[sys.argv[1]](text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
