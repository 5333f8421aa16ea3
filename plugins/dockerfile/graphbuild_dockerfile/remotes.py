"""What ADD names that is elsewhere: files by HTTP, and git repositories in all the ways BuildKit writes them. Pure texts.

A git repository is git://, ssh:// or user@host:path, and http:// or https:// only where its path ends in .git. What is taken of it is
said after `#` (ref:folder) or after `?` (branch, tag, ref, subdir, checksum or commit, keep-git-dir, submodules).
"""

import posixpath
import re
import urllib.parse
from collections.abc import Mapping

import msgspec

_SCP = re.compile(r"([a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:.*?)(?:\?(.*?))?(?:#(.*))?", re.DOTALL)
_TRUTHS = {"1": True, "t": True, "T": True, "TRUE": True, "true": True, "True": True}
_LIES = {"0": False, "f": False, "F": False, "FALSE": False, "false": False, "False": False}


class Repository(msgspec.Struct, frozen=True):
    """What is taken of a git repository. `keep_git_dir` is None where its URL does not say."""

    url: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True


def is_http(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def repository(source: str) -> Repository | None:
    """The git repository that a text names, None where it names none. ValueError for one that says something wrong."""
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in ("http", "https", "ssh", "git"):
        try:
            parts = urllib.parse.urlsplit(source)
        except ValueError:
            return None
        if scheme.startswith("http") and not urllib.parse.unquote(parts.path).endswith(".git"):
            return None
        url, query, fragment = parts._replace(query="", fragment="").geturl(), parts.query, urllib.parse.unquote(parts.fragment)
    elif not scheme and (found := _SCP.fullmatch(source)):
        url, query, fragment = found[1], found[2] or "", found[3] or ""
    else:
        return None
    ref, _, subdir = fragment.partition(":")
    return _with_query(Repository(url, ref, subdir), urllib.parse.parse_qs(query, keep_blank_values=True))


def is_repository(source: str) -> bool:
    """Whether a text names a git repository, rightly or wrongly."""
    try:
        return repository(source) is not None
    except ValueError:
        return True


def _with_query(found: Repository, query: Mapping[str, list[str]]) -> Repository:
    said: dict[str, str] = {}
    for name, values in query.items():
        if name not in ("ref", "tag", "branch", "subdir", "checksum", "commit", "keep-git-dir", "submodules"):
            raise ValueError(f'unexpected query "{name}"')
        if len(values) > 1:
            raise ValueError(f'query "{name}" has multiple values')
        if not values[0] and name not in ("keep-git-dir", "submodules"):
            raise ValueError(f'query "{name}" has no value')
        said[name] = values[0]
    if "tag" in said and "branch" in said:
        raise ValueError("branch conflicts with tag")
    ref = _one("ref", found.ref, said.get("ref", ""))
    for kind, folder in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if kind in said:
            ref = _one("ref", ref, folder + said[kind].removeprefix(folder))
    checksum = _one("checksum", said.get("checksum", ""), said.get("commit", ""))
    keep = _truth("keep-git-dir", said["keep-git-dir"]) if "keep-git-dir" in said else None
    submodules = _truth("submodules", said["submodules"]) if "submodules" in said else True
    return Repository(found.url, ref or checksum, _one("subdir", found.subdir, said.get("subdir", "")), checksum, keep, submodules)


def _one(what: str, one: str, other: str) -> str:
    if one and other and one != other:
        raise ValueError(f'{what} conflicts: "{one}" vs "{other}"')
    return other or one


def _truth(name: str, text: str) -> bool:
    truth = {"": True, **_TRUTHS, **_LIES}.get(text)
    if truth is None:
        raise ValueError(f'invalid {name} value: "{text}"')
    return truth


def file_name(url: str) -> str:
    """The name of a file that is fetched: the last part of the URL's path. ValueError for what cannot be one."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path, errors="surrogateescape").rstrip("/")
    name = posixpath.basename(path)
    if name == ".." or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file")
    return name if name not in ("", ".") else "__unnamed__"


def without_password(url: str) -> str:
    """A URL as messages may show it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
