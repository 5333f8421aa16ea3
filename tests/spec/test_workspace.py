"""The workspace: its root, its settings, its packages."""

import os

import pytest

from graphbuild.spec.problem import render
from graphbuild.spec.workspace import Limits, Settings, find_packages, find_workspace, load_settings, parse_settings
from graphbuild.values.errors import GraphbuildError


def put(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def test_the_topmost_marker_is_the_root(tmp_path):
    put(tmp_path, "a/graphbuild.yaml", "a/b/.git/HEAD", "a/b/c/graphbuild.yaml", "a/b/c/d/build.yaml")
    assert find_workspace(tmp_path / "a/b/c/d") == tmp_path / "a"
    assert find_workspace(tmp_path / "a") == tmp_path / "a"


def test_a_worktree_has_a_git_file(tmp_path):
    put(tmp_path, "a/.git", "a/b/build.yaml")
    assert find_workspace(tmp_path / "a/b") == tmp_path / "a"


def test_without_a_marker_the_start_is_the_root(tmp_path):
    put(tmp_path, "a/b/build.yaml")
    assert find_workspace(tmp_path / "a/b") == tmp_path / "a/b"


def test_no_settings(tmp_path):
    assert load_settings(tmp_path) == Settings()


def test_empty_settings():
    assert parse_settings(b"# nothing\n", "graphbuild.yaml") == Settings()


def test_settings(tmp_path):
    (tmp_path / "graphbuild.yaml").write_text(
        """
jobs: 4
store: /var/cache/gb
source_date_epoch: 1700000000
plugins: [debian]
network: deny
network_allow: ["//web:deps"]
compression: zstd
vars: {python: "3.11", debug: true}
limits: {memory: 2g, processes: 100, output: 64m, timeout: 1h}
ignore: [third_party, "old/*"]
"""
    )
    assert load_settings(tmp_path) == Settings(
        jobs=4,
        store="/var/cache/gb",
        source_date_epoch=1700000000,
        plugins=("debian",),
        network="deny",
        network_allow=("//web:deps",),
        compression="zstd",
        vars={"python": "3.11", "debug": "true"},
        limits=Limits(2 << 30, 100, 64 << 20, 3600),
        ignore=("third_party", "old/*"),
    )


@pytest.mark.parametrize(
    ("line", "column", "length", "message", "hint"),
    [
        ("job: 4", 1, 3, "unknown setting 'job'", "did you mean 'jobs'?"),
        ("jobs: 0", 7, 1, "expected a whole number >= 1, not '0'", ""),
        ("jobs: many", 7, 4, "expected a whole number, not 'many'", ""),
        ("source_date_epoch: -1", 20, 2, "expected a whole number >= 0, not '-1'", ""),
        ("network: den", 10, 3, "unknown value 'den'", "did you mean 'deny'?"),
        ("compression: xz", 14, 2, "unknown value 'xz'", "one of gzip, none, zstd"),
        ("plugins: debian", 10, 6, "expected a list, not 'debian'", "put it in brackets: […]"),
        ("vars: {a: [b]}", 11, 1, "variable 'a' must be text, not a list", 'for nothing, write ""'),
        ("vars: {'a b': c}", 8, 5, "'a b' is not a name", "letters, digits, _ . + -, and none of . + - at the start"),
        ("limits: {memory: lots}", 18, 4, "'lots' is not a size", 'for example "64m" or "2g"'),
        ("limits: {timeout: soon}", 19, 4, "'soon' is not a duration", 'for example "90s", "5m" or "1h30m"'),
        ("limits: {memroy: 2g}", 10, 6, "unknown key 'memroy'", "did you mean 'memory'?"),
        ("- jobs", 1, 1, "graphbuild.yaml must be a map of settings", "for example `jobs: 4`"),
    ],
)
def test_what_is_wrong(line, column, length, message, hint):
    with pytest.raises(GraphbuildError) as caught:
        parse_settings(line.encode(), "graphbuild.yaml")
    (problem,) = caught.value.problems
    expected = [f"graphbuild.yaml:1:{column}: {message}", f"    {line}", "    " + " " * (column - 1) + "^" * length]
    assert render(problem, read=lambda _file: line).split("\n") == [*expected, *([f"  hint: {hint}"] if hint else [])]


def test_all_settings_are_looked_at():
    with pytest.raises(GraphbuildError) as caught:
        parse_settings(b"jobs: x\nstroe: x\nlimits: {memory: z}\n", "f")
    assert len(caught.value.problems) == 3


def test_a_folder_is_no_settings_file(tmp_path):
    (tmp_path / "graphbuild.yaml").mkdir()
    with pytest.raises(GraphbuildError, match="cannot read"):
        load_settings(tmp_path)


def test_packages(tmp_path):
    put(tmp_path, *(f"{folder}build.yaml" for folder in ("", "b/", "a/", "a/x/", "a-b/", "c/d/e/", "f/graphbuild.yaml/../")))
    put(
        tmp_path,
        ".hidden/build.yaml",
        "a/node_modules/build.yaml",
        "a/.git/build.yaml",
        ".venv/build.yaml",
        "g/other.yaml",
        "f/graphbuild.yaml/x",
    )
    (tmp_path / "h/build.yaml").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a", target_is_directory=True)
    (tmp_path / "loop").symlink_to(".", target_is_directory=True)
    assert list(find_packages(tmp_path)) == ["", "a", "a/x", "a-b", "b", "c/d/e", "f"]
    assert list(find_packages(tmp_path, "a")) == ["a", "a/x"]
    assert list(find_packages(tmp_path, "c/d")) == ["c/d/e"]
    assert list(find_packages(tmp_path, "gone")) == []


@pytest.mark.parametrize(
    ("ignore", "found"),
    [
        (["b"], ["a", "a/c"]),
        (["a/b"], ["a", "a/c", "b"]),
        (["a/*"], ["a", "b"]),
        (["a*/"], ["b"]),
        (["/a/c"], ["a", "a/b", "b"]),
        ([], ["a", "a/b", "a/c", "b"]),
    ],
)
def test_ignored_folders(tmp_path, ignore, found):
    put(tmp_path, "a/build.yaml", "a/b/build.yaml", "a/c/build.yaml", "b/build.yaml")
    assert list(find_packages(tmp_path, "", ignore)) == found


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user for whom permissions count")
def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a").mkdir(mode=0)
    with pytest.raises(GraphbuildError, match="cannot read the folder 'a'"):
        list(find_packages(tmp_path))
