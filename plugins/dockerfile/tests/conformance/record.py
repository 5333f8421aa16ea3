"""Records what the modern Docker engine makes of the cases, in expected/GROUP.json.

    .venv/bin/python plugins/dockerfile/tests/conformance/record.py [--all] [--show] [GROUP|CASE…]

By default what is not recorded, or was recorded for another text of the case; `--all` repeats everything. `--show` prints each new
verdict, which its author reads: a case that passes for the wrong reason is worth nothing. Needs root and the modern engine's root
(`python tests/peers.py`); the base `debian` where cases stand on it (`python bases.py` here).
"""

import argparse
import contextlib
import fcntl
import json
import sys
import time
import unittest
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from bases import below, make_bases
from case import Case
from cases import groups
from engines import judging_engine
from judge import Verdict, judge, need, scratch
from remote import remote

_EXPECTED = Path(__file__).parent / "expected"


class Recorded(msgspec.Struct, frozen=True):
    """A verdict, the digest of the case it was made for, and the engine's version."""

    case: str
    engine: str
    verdict: Verdict


def read(group: str) -> dict[str, Recorded]:
    file = _EXPECTED / f"{group}.json"
    # msgspec's own reader refuses lone surrogates, which stand for bytes that are no UTF-8
    return msgspec.convert(json.loads(file.read_text()), dict[str, Recorded]) if file.exists() else {}


def write(group: str, recorded: dict[str, Recorded]) -> None:
    plain: dict[str, Any] = {name: msgspec.to_builtins(each) for name, each in recorded.items()}
    _EXPECTED.mkdir(exist_ok=True)
    (_EXPECTED / f"{group}.json").write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Two who record at the same time do not lose each other's verdicts."""
    _EXPECTED.mkdir(exist_ok=True)
    with (Path(__file__)).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stale(case: Case, recorded: dict[str, Recorded]) -> bool:
    return case.name not in recorded or recorded[case.name].case != case.digest()


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("names", nargs="*", metavar="GROUP|CASE")
    options = parser.parse_args(words)
    found = groups()
    where = {case.name: group for group, cases in found.items() for case in cases}
    chosen = [
        case
        for group, cases in found.items()
        for case in cases
        if not case.skip_engine
        and (not options.names or group in options.names or case.name in options.names)
        and (options.all or stale(case, read(group)))
    ]
    if unknown := set(options.names) - set(found) - set(where):
        parser.error(f"no group and no case: {sorted(unknown)}")
    wrong = 0
    with scratch() as folder, judging_engine() as engine, remote() as urls:
        bases = make_bases(folder / "bases")
        able = [case for case in chosen if _able(case, bases)]
        start = time.monotonic()
        for case, verdict in judge(engine, able, bases, urls):
            with _locked():
                group = where[case.name]
                names = {each.name for each in found[group] if not each.skip_engine}
                kept = {name: each for name, each in read(group).items() if name in names}
                write(group, kept | {case.name: Recorded(case.digest(), engine.version, verdict)})
            wrong += _tell(case, verdict, below(bases, case.base).config, show=options.show)
        print(f"{len(able)} cases in {time.monotonic() - start:.0f} s by Docker {engine.version}, {wrong} of them unexpected")
    return 1 if wrong else 0


def _able(case: Case, bases: Any) -> bool:
    try:
        need(bases, case)
    except unittest.SkipTest as reason:
        print(f"{case.name}: skipped, {reason}")
        return False
    return True


def _tell(case: Case, verdict: Verdict, below: Mapping[str, Any], *, show: bool) -> bool:
    """Print the verdict; whether the case's own `fails` says otherwise."""
    odd = verdict.fails != bool(case.fails) and not case.differs
    if show or odd:
        print(f"\n=== {case.name}: {case.why}")
        print(case.dockerfile if isinstance(case.dockerfile, str) else repr(case.dockerfile))
        if odd:
            print(f"!!! the case says that it {'fails' if case.fails else 'builds'}, but it {'fails' if verdict.fails else 'builds'}")
        if verdict.fails:
            print(f"--- {verdict.said}")
        for path, line in verdict.tree.items():
            print(f"    {path!r:40} {line}".encode("utf-8", "replace").decode())
        if not verdict.fails and (changed := {name: value for name, value in verdict.config.items() if value != below.get(name)}):
            print(f"    {changed}")
        if not verdict.fails and (lost := sorted(set(below) - set(verdict.config))):
            print(f"    without {lost}")
    return odd


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
