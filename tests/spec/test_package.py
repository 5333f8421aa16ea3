"""What a build.yaml declares, as it was written."""

from graphbuild.spec.model import Declaration, PackageSpec
from graphbuild.spec.package import parse_package

RULES = {"debian": "base", "image": ("base", "output"), "scratch": "base", "run": "step", "copy": "step"}

TEXT = b"""\
# web
vars: {python: "3.11", jobs: 4, debug: true}
bases:
  debian:
    debian: {suite: bookworm}
  alpine: {image: docker.io/library/alpine:3.20}
  empty: scratch
steps:
  deps:
    from: debian
    run: pip install ${python}
    network: host
outputs:
  web:
    from: deps
    image:
"""


def declared(section, name, rule, value, line, **common):
    return Declaration(section, name, rule, value, {key.rstrip("_"): item for key, item in common.items()}, "web/build.yaml", line)


def test_a_package():
    assert parse_package(TEXT, "web/build.yaml", "web", RULES) == PackageSpec(
        "web",
        "web/build.yaml",
        {"python": "3.11", "jobs": "4", "debug": "true"},
        (
            declared("bases", "debian", "debian", {"suite": "bookworm"}, 4),
            declared("bases", "alpine", "image", "docker.io/library/alpine:3.20", 6),
            declared("bases", "empty", "scratch", None, 7),
            declared("steps", "deps", "run", "pip install ${python}", 9, from_="debian", network="host"),
            declared("outputs", "web", "image", None, 14, from_="deps"),
        ),
    )


def test_nothing_is_a_package():
    empty = PackageSpec("", "build.yaml", {}, ())
    for text in (b"", b"# nothing\n", b"steps:\n", b"vars: {}\nbases:\n"):
        assert parse_package(text, "build.yaml", "", RULES) == empty


def test_a_declaration_knows_its_path():
    assert parse_package(TEXT, "web/build.yaml", "web", RULES).targets[3].path == ("steps", "deps")


def test_anchors_share_what_is_written_once():
    text = b"steps:\n  a: {run: x, env: &env {A: b}}\n  b: {run: x, env: *env}\n"
    first, second = parse_package(text, "f", "", RULES).targets
    assert first.common == second.common


def test_a_section_that_is_an_alias():
    text = b"vars: &v\n  empty: scratch\nbases: *v\n"
    (target,) = parse_package(text, "f", "", RULES).targets
    assert (target.section, target.name, target.rule, target.line) == ("bases", "empty", "scratch", 2)
