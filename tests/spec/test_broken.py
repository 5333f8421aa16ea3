"""Broken specs, and exactly what is said about each: `broken.txt` holds text and answer."""

from pathlib import Path

import pytest

from graphbuild.spec.package import parse_package
from graphbuild.spec.problem import render
from graphbuild.values.errors import EXIT_USAGE, GraphbuildError

RULES = {"debian": "base", "image": ("base", "output"), "tar": "base", "scratch": "base", "run": "step", "copy": "step"}


def cases():
    for case in (Path(__file__).parent / "broken.txt").read_text().removeprefix("=== ").split("\n=== "):
        name, _, rest = case.partition("\n")
        text, _, expected = rest.partition("--- expected\n")
        yield pytest.param(text, expected.strip("\n"), id=name)


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_what_is_said(text, expected):
    with pytest.raises(GraphbuildError) as caught:
        parse_package(text.encode(), "app/build.yaml", "app", RULES)
    assert "\n".join(render(problem, read=lambda _file: text) for problem in caught.value.problems) == expected
    assert caught.value.exit_code == EXIT_USAGE
