"""Globs and ignore files."""

import pytest

from graphbuild.build.glob import ignore_matcher, literal_prefix, matcher


@pytest.mark.parametrize(
    ("patterns", "path", "chosen"),
    [
        (["src/**/*.py"], "src/a.py", True),
        (["src/**/*.py"], "src/a/b/c.py", True),
        (["src/**/*.py"], "src/a.txt", False),
        (["src"], "src/deep/down", True),
        (["src/"], "src/deep", True),
        (["src"], "srcs/x", False),
        (["*.py"], "a.py", True),
        (["*.py"], "d/a.py", False),
        (["**/*.py"], "a.py", True),
        (["**"], "x/y/.hidden", True),
        (["**", "!**/test_*"], "a/test_x.py", False),
        (["**", "!**/test_*", "a/test_x.py"], "a/test_x.py", True),
        (["**", "!build"], "build/out", False),
        (["a?c"], "abc", True),
        (["a?c"], "a/c", False),
        (["[a-c]x"], "bx", True),
        (["[!a-c]x"], "bx", False),
        (["[!a]x"], "/x", False),
        (["a.b+c"], "a.b+c", True),
        (["a.b"], "axb", False),
        (["dir/*"], "dir/sub/file", True),
        (["ümläut/*"], "ümläut/x", True),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns, path, chosen):
    assert matcher(patterns)(path.encode()) is chosen


def test_names_of_any_bytes_match_wildcards():
    assert matcher(["a/*"])(b"a/\xff\xfe\nx")


@pytest.mark.parametrize(
    ("lines", "path", "folder", "ignored"),
    [
        (["*.pyc"], "a/b/x.pyc", False, True),
        (["/x"], "a/x", False, False),
        (["/x"], "x", False, True),
        (["node_modules/"], "a/node_modules", True, True),
        (["node_modules/"], "a/node_modules", False, False),
        (["*.log", "!keep.log"], "d/keep.log", False, False),
        (["# comment", "", "doc/*.txt"], "doc/a.txt", False, True),
        (["doc/*.txt"], "doc/sub/a.txt", False, False),
        (["\\#file"], "#file", False, True),
        (["a/**/b"], "a/b", False, True),
    ],
)
def test_ignore_files_read_as_gitignore(lines, path, folder, ignored):
    assert ignore_matcher(lines)(path.encode(), folder) is ignored


@pytest.mark.parametrize(("pattern", "prefix"), [("src/**/*.py", "src"), ("*.py", ""), ("a/b/c", "a/b/c"), ("a/b?/c", "a")])
def test_a_search_starts_at_the_literal_prefix(pattern, prefix):
    assert literal_prefix(pattern) == prefix
