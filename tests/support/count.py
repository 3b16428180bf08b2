#!/usr/bin/env python3
"""The last line of tests/run: how many tests passed, failed and were skipped, over every JUnit file in a folder.

usage: count.py FOLDER [FAILED_STAGE...]     exit 1 when anything failed, or when no test ran at all
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main() -> int:
    folder, failed_stages = pathlib.Path(sys.argv[1]), sys.argv[2:]
    passed = failed = skipped = 0
    for file in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            status = case.get("status")
            if "everything is begun again" in (case.findtext("system-out") or ""):
                print(f"begun again: {case.get('name')} ({file.stem}): an emulated processor ran wild")
            if status == "run":
                passed += 1
            elif status == "fail":
                failed += 1
                print(f"failed: {case.get('name')} ({file.stem})")
            else:
                skipped += 1
                reason = case.find("skipped")
                print(f"skipped: {case.get('name')} ({file.stem})"
                      + (f": {reason.get('message')}" if reason is not None and reason.get("message") else ""))
    for stage in failed_stages:
        print(f"failed stage: {stage}")
    if failed_stages and not failed:
        failed = len(failed_stages)
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
