"""How BuildKit writes git repositories, and what it calls files that it fetches."""

import pytest
from graphbuild_dockerfile.remotes import Repository, file_name, is_repository, repository, without_password

H = "https://host/x.git"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (H, Repository(H)),
        ("http://host:80/a/x.git", Repository("http://host:80/a/x.git")),
        ("HTTPS://host/x.git", Repository("https://host/x.git")),
        ("https://u:p@host/x.git#main", Repository("https://u:p@host/x.git", "main")),
        (f"{H}#", Repository(H)),
        (f"{H}#v1:a/b", Repository(H, "v1", "a/b")),
        (f"{H}#:a:b", Repository(H, "", "a:b")),
        (f"{H}#feature%2Fx", Repository(H, "feature/x")),
        (f"{H}?branch=b", Repository(H, "refs/heads/b")),
        (f"{H}?tag=refs/tags/t&subdir=d", Repository(H, "refs/tags/t", "d")),
        (f"{H}?ref=r#r:d", Repository(H, "r", "d")),
        (f"{H}?checksum=abc", Repository(H, "abc", checksum="abc")),
        (f"{H}?commit=abc&ref=r", Repository(H, "r", checksum="abc")),
        (f"{H}?keep-git-dir=1&submodules=false", Repository(H, keep_git_dir=True, submodules=False)),
        (f"{H}?keep-git-dir", Repository(H, keep_git_dir=True)),
        (f"{H}?keep-git-dir=F", Repository(H, keep_git_dir=False)),
        ("git://host/x", Repository("git://host/x")),
        ("ssh://git@host:22/x?tag=t#", Repository("ssh://git@host:22/x", "refs/tags/t")),
        ("git@host:a/x.git", Repository("git@host:a/x.git")),
        ("me@host:x?subdir=d#main", Repository("me@host:x", "main", "d")),
        ("https://host/x", None),
        ("https://host/x.git/", None),
        ("https://host/x?y=.git", None),
        ("ftp://host/x.git", None),
        ("file:///x.git", None),
        ("x.git", None),
        ("host:x.git", None),
        ("./git@host:x", None),
        ("a/git@host:x", None),
        ("https://[::1/x.git", None),
    ],
)
def test_git_repositories(text: str, expected: Repository | None):
    assert repository(text) == expected
    assert is_repository(text) == (expected is not None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("?wat=1", 'unexpected query "wat"'),
        ("?ref=a&ref=b", 'query "ref" has multiple values'),
        ("?ref=", 'query "ref" has no value'),
        ("?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("?tag=a&branch=b", "branch conflicts with tag"),
        ("?tag=a#a", 'ref conflicts: "a" vs "refs/tags/a"'),
        ("?subdir=a#:b", 'subdir conflicts: "b" vs "a"'),
        ("?keep-git-dir=yes", 'invalid keep-git-dir value: "yes"'),
        ("?submodules=2", 'invalid submodules value: "2"'),
    ],
)
def test_queries_that_are_wrong(text: str, said: str):
    with pytest.raises(ValueError, match=said.replace("?", "[?]")):
        repository(H + text)
    assert is_repository(H + text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/b.txt", "b.txt"),
        ("http://h/a/b.txt?c/d#e/f", "b.txt"),
        ("http://h/folder/", "folder"),
        ("http://h/folder//", "folder"),
        ("http://h/", "__unnamed__"),
        ("http://h", "__unnamed__"),
        ("http://h/a%20b", "a b"),
        ("http://h/a%2Fb", "b"),
        ("http://h/.", "__unnamed__"),
    ],
)
def test_names_of_files(url: str, name: str):
    assert file_name(url) == name


@pytest.mark.parametrize(("url", "said"), [("http://h/..", "no name"), ("http://h/a%00b", "no name"), ("http://[::1/x", "Invalid IPv6")])
def test_what_is_no_name_of_a_file(url: str, said: str):
    with pytest.raises(ValueError, match=said):
        file_name(url)


def test_passwords_are_not_shown():
    assert without_password("https://u:p@h/x@y.git") == "https://h/x@y.git"
    assert without_password("git@h:x") == "git@h:x"
