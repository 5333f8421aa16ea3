"""The attributes of every target: written forms, and what is wrong with others."""

import pytest

from graphbuild.rules.mounts import CacheMount, SecretMount, TmpfsMount
from graphbuild.spec.attributes import convert_common, convert_matrix
from graphbuild.spec.model import BindMount, Common
from graphbuild.spec.package import parse_package
from graphbuild.spec.problem import render
from graphbuild.values.duration import parse_duration, parse_mode, parse_size
from graphbuild.values.errors import GraphbuildError


def common(**data):
    return convert_common({key.rstrip("_"): value for key, value in data.items()}, file="f", path=("steps", "a"))


def mount(**data):
    (found,) = common(mounts=[data]).mounts
    return found


def test_nothing_said():
    assert common() == Common()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"from_": "b"}, Common(from_=("b",))),
        ({"from_": ["//x:b", ":c"]}, Common(from_=("//x:b", ":c"))),
        ({"env": {"B": "1", "A": ""}}, Common(env=(("B", "1"), ("A", "")))),
        ({"user": "1000", "workdir": "/x", "description": "d"}, Common(user="1000", workdir="/x", description="d")),
        ({"shell": "/bin/bash"}, Common(shell=("/bin/bash", "-c"))),
        ({"shell": "/bin/bash -ec"}, Common(shell=("/bin/bash", "-ec"))),
        ({"shell": ["/bin/bash"]}, Common(shell=("/bin/bash",))),
        ({"network": "host", "overlap": "last-wins"}, Common(network="host", overlap="last-wins")),
        ({"tags": ["slow"]}, Common(tags=("slow",))),
        ({"matrix": {"py": ["3.11", "3"], "debug": [True, False]}}, Common(matrix=(("py", ("3.11", "3")), ("debug", ("true", "false"))))),
        ({"timeout": "1h30m"}, Common(timeout=5400)),
        ({"timeout": "90"}, Common(timeout=90)),
        ({"secrets": ["key", {"id": "b", "env": "B"}]}, Common(mounts=(SecretMount("key", "/run/secrets/key"), SecretMount("b", "", "B")))),
    ],
)
def test_written_forms(data, expected):
    assert common(**data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"bind": "a", "to": "/a"}, BindMount("a", "/a")),
        ({"bind": "/usr", "to": "/a", "from": "//x:y", "writable": True}, BindMount("/usr", "/a", "//x:y", writable=True)),
        ({"cache": "pip", "to": "/c"}, CacheMount("pip", "/c")),
        (
            {"cache": "pip", "to": "/c", "sharing": "locked", "mode": "0700", "uid": "5", "gid": "6"},
            CacheMount("pip", "/c", "locked", 0o700, 5, 6),
        ),
        ({"tmpfs": "/t"}, TmpfsMount("/t")),
        ({"tmpfs": "", "to": "/t", "size": "64m"}, TmpfsMount("/t", 64 << 20)),
        ({"tmpfs": None, "to": "/t"}, TmpfsMount("/t")),
        ({"secret": "s"}, SecretMount("s", "/run/secrets/s")),
        ({"secret": "s", "env": "S", "required": "false"}, SecretMount("s", "", "S", required=False)),
        ({"secret": "s", "to": "/s", "mode": "0440", "uid": "1", "gid": "2"}, SecretMount("s", "/s", "", 0o440, 1, 2)),
    ],
)
def test_mounts(data, expected):
    assert mount(**data) == expected


SPEC = "steps:\n  a:\n    run: x\n    "


@pytest.mark.parametrize(
    ("line", "column", "length", "message", "hint"),
    [
        ("from: [b, b]", 15, 1, "'b' is in `from` twice", "remove one of them"),
        ("from: {a: b}", 11, 1, "expected text or a list, not a map", ""),
        ("env: {A: true}", 14, 4, "expected text, not true", 'quote it: "true"'),
        ("env: {A=b: c}", 11, 3, "'A=b' cannot name a variable", "write `NAME: value`"),
        ("env: [A=b]", 10, 1, "expected a map, not a list", ""),
        ("shell: ''", 12, 2, "the shell is empty", "for example `shell: [/bin/bash, -euo, pipefail, -c]`"),
        ("network: hots", 14, 4, "unknown value 'hots'", "did you mean 'host'?"),
        ("overlap: first", 14, 5, "unknown value 'first'", "one of error, last-wins"),
        ("timeout: 5 minutes", 14, 9, "'5 minutes' is not a duration", 'for example "90s", "5m" or "1h30m"'),
        ("tags: slow", 11, 4, "expected a list, not 'slow'", "put it in brackets: […]"),
        ("matrix: {py: []}", 18, 1, "matrix variable 'py' has no values", "give it at least one"),
        ("matrix: {py: [a, a]}", 22, 1, "'a' is in the matrix twice", "remove one of them"),
        (
            "matrix: {py: ['a,b']}",
            19,
            5,
            "'a,b' cannot be a matrix value",
            "it becomes part of a label: it is not empty and holds none of , = [ ]",
        ),
        ("matrix: {'p y': [a]}", 14, 5, "'p y' is not a name", "letters, digits, _ . + -"),
        ("mounts: [a]", 14, 1, "a mount is a map", "for example `{bind: requirements.txt, to: /src/requirements.txt}`"),
        ("mounts: [{bnid: a, to: /b}]", 14, 1, "a mount says one of bind, cache, tmpfs, secret, ssh", "did you mean 'bind'?"),
        ("mounts: [{bind: a, cache: b, to: /c}]", 24, 5, "a mount is one thing, not 'bind' and 'cache'", "make two mounts of it"),
        ("mounts: [{bind: a}]", 14, 1, "missing `to`", "add `to: …`"),
        ("mounts: [{bind: a, to: b}]", 28, 1, "a mount's place is absolute, not 'b'", "write /b"),
        ("mounts: [{bind: a, to: /b/../c}]", 28, 7, "'/b/../c' cannot be a mount's place", "name a path below /, without `..`"),
        ("mounts: [{bind: a, to: /}]", 28, 1, "'/' cannot be a mount's place", "name a path below /, without `..`"),
        ("mounts: [{cache: a, to: /b, sahring: locked}]", 33, 7, "unknown key 'sahring'", "did you mean 'sharing'?"),
        ("mounts: [{cache: '', to: /b}]", 22, 2, "a cache needs an id", "for example `cache: pip`"),
        ("mounts: [{cache: a, to: /b, mode: rwx}]", 39, 3, "'rwx' is not an octal mode", 'octal, in quotes: for example "0755"'),
        ("mounts: [{cache: a, to: /b, uid: -1}]", 38, 2, "-1 is not a uid", "a number from 0"),
        ("mounts: [{tmpfs: /a, to: /b}]", 26, 2, "`tmpfs` and `to` both say where", "leave one of them out"),
        ("mounts: [{tmpfs: /a, size: big}]", 32, 3, "'big' is not a size", 'for example "64m" or "2g"'),
        ("secrets: [a/b]", 15, 3, "'a/b' is not a secret's id", "letters, digits, _ . + -"),
        ("secrets: [{to: /a}]", 15, 1, "missing `id`", "add `id: …`"),
        ("secrets: [{id: a, too: /b}]", 23, 3, "unknown key 'too'", "did you mean 'to'?"),
    ],
)
def test_what_is_wrong(line, column, length, message, hint):
    text = SPEC + line + "\n"
    (target,) = parse_package(text.encode(), "f.yaml", "p", {"run": "step"}).targets
    with pytest.raises(GraphbuildError) as caught:
        convert_common(target.common, file=target.file, path=target.path)
    (problem,) = caught.value.problems
    expected = [f"f.yaml:4:{column}: {message}", f"    {line}", " " * (column - 1) + "^" * length, *([f"  hint: {hint}"] if hint else [])]
    assert render(problem, read=lambda _file: text).split("\n") == expected


def test_all_attributes_are_looked_at():
    with pytest.raises(GraphbuildError) as caught:
        common(network="x", timeout="y", evn={})
    assert [problem.message for problem in caught.value.problems] == ["unknown value 'x'", "'y' is not a duration", "unknown key 'evn'"]


def test_a_matrix_by_itself():
    assert convert_matrix({"a": ["1"]}, file="f", path=()) == (("a", ("1",)),)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2h", 7200), ("1.5s", 1.5), ("1h1m1s", 3661)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1000", 1000), ("64k", 65536), ("64m", 64 << 20), ("2G", 2 << 30), ("1 GiB", 1 << 30), ("3mb", 3 << 20)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_mode])
@pytest.mark.parametrize("text", ["", "x", "-1", "1x", "٣", "1" * 40, "nan", "m5", "5m1h", " 5"])
def test_neither(parse, text):
    with pytest.raises(ValueError, match="is not a"):
        parse(text)
