"""The cases, a module a group: each has `CASES`, and its verdicts are in expected/GROUP.json."""

import importlib
import pkgutil
from collections import Counter

from case import Case


def groups() -> dict[str, tuple[Case, ...]]:
    """Every group's cases, by the group's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: tuple(importlib.import_module(f"cases.{name}").CASES) for name in names}
    twice = [name for name, times in Counter(case.name for cases in found.values() for case in cases).items() if times > 1]
    if twice:
        raise ValueError(f"several cases have these names: {twice}")
    return found
