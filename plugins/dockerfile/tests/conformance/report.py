"""How much of Docker's behaviour graphbuild has: a table of the cases that pass, by group, and what is wrong with the others.

.venv/bin/python plugins/dockerfile/tests/conformance/report.py [-v] [GROUP|CASE…]
"""

import argparse
import os
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from bases import Bases, make_bases
from case import Case
from cases import groups
from judge import need, scratch
from ours import build, complaints, expectation
from record import read
from remote import remote


class Result(msgspec.Struct, frozen=True):
    group: str
    case: Case
    wrong: list[str]
    skipped: str = ""


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-v", "--verbose", action="store_true", help="show the Dockerfile and all that is wrong")
    parser.add_argument("names", nargs="*", metavar="GROUP|CASE")
    options = parser.parse_args(words)
    chosen = [
        (group, case)
        for group, cases in groups().items()
        for case in cases
        if not options.names or group in options.names or case.name in options.names
    ]
    with scratch() as folder, remote() as urls:
        bases = make_bases(folder / "bases")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = []
            for result in pool.map(lambda each: _result(*each, bases, folder, urls), chosen):
                results.append(result)
                if result.wrong:
                    _tell(result, verbose=options.verbose)
    _table(results)
    return 1 if any(result.wrong for result in results) else 0


def _result(group: str, case: Case, bases: Bases, folder: Path, urls: dict[str, str]) -> Result:
    try:
        need(bases, case)
        expected = expectation(case, read(group), bases)
    except unittest.SkipTest as reason:
        return Result(group, case, [], str(reason))
    except AssertionError as error:
        return Result(group, case, [str(error)])
    return Result(group, case, complaints(case, build(case, bases, folder / group / case.name, folder / "store", urls), expected))


def _tell(result: Result, *, verbose: bool) -> None:
    print(f"\n=== {result.group}: {result.case.name}: {result.case.why}")
    if verbose:
        print(result.case.dockerfile if isinstance(result.case.dockerfile, str) else repr(result.case.dockerfile))
    lines = "\n".join(result.wrong).encode("utf-8", "replace").decode().splitlines()
    print("\n".join(f"    {line}" for line in (lines if verbose else lines[:12])))


def _table(results: list[Result]) -> None:
    print(f"\n{'group':20} {'cases':>6} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for group in [*sorted({result.group for result in results}), ""]:
        of = [result for result in results if group in {result.group, ""}]
        failed, skipped = sum(bool(result.wrong) for result in of), sum(bool(result.skipped) for result in of)
        print(f"{group or 'all':20} {len(of):6} {len(of) - failed - skipped:7} {failed:7} {skipped:8}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
