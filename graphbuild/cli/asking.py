"""Asking whether something is really meant that cannot be taken back."""

import sys

from graphbuild.values.errors import mistake


def make_sure(which: str) -> None:
    """Ask, on a terminal, whether `which` is to be removed. GraphbuildError where the answer is no, or nobody is there to answer."""
    if not sys.stdin.isatty():
        raise mistake(f"this removes {which}", hint="say -f to do it without asking")
    sys.stderr.write(f"This removes {which}. Are you sure? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise mistake("nothing was removed")
