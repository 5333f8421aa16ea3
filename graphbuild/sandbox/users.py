"""Who a step runs as: Docker's reading of USER and --chown against the image's own passwd and group files.

Pure: texts in, numbers out. Malformed lines are skipped, as libcontainer does; the files come from images and are hostile.
"""

import re
from collections.abc import Iterator

import msgspec

from graphbuild.values.errors import mistake

_MAX_ID = 2**32 - 2  # 2**32 - 1 means "leave it" to the system calls


class Credentials(msgspec.Struct, frozen=True):
    """`groups` are the supplementary ones, sorted; `name` is "" for an id without an entry."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"
    name: str = ""


class _User(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(user: str, passwd: bytes, group: bytes) -> Credentials:
    """The credentials of USER's `name|uid[:group|gid]`; "" is root. GraphbuildError for a name without an entry.

    A name, or a bare uid that has an entry, brings its primary and supplementary groups; `user:group` brings that group only. An
    unknown uid gets gid 0 and the home `/`.
    """
    user_part, _, group_part = user.partition(":")
    wanted = user_part or "0"
    entry = _find_user(wanted, passwd)
    if entry is None:
        uid = _number(wanted)
        if uid is None:
            raise mistake(f"user {wanted!r} is not in the image's /etc/passwd", hint="name a user of the image, or a numeric id")
        entry = _User("", uid, 0, "/")
    if group_part:
        return Credentials(entry.uid, _gid(group_part, group), (), entry.home or "/", entry.name)
    groups = {found.gid for found in _groups(group) if entry.name and entry.name in found.members}
    return Credentials(entry.uid, entry.gid, tuple(sorted(groups)), entry.home or "/", entry.name)


def as_docker(user: str, passwd: bytes | None, found: Credentials) -> Credentials:
    """What Docker's runtime makes of the credentials that `resolve_user` found; `passwd` None: the image has no such file.

    HOME is that of the first entry with the uid, also an empty one. Without the file nobody is found but by two numbers. The primary group
    is among the supplementary ones.
    """
    if passwd is None and user and not all(map(_is_number, user.partition(":")[::2])):
        raise mistake(f"user {user!r}: the image has no /etc/passwd to find it in", hint="say two numbers, uid:gid")
    entry = next((entry for entry in _users(passwd or b"") if entry.uid == found.uid), None)
    groups = tuple(sorted({*found.groups, found.gid}))
    return msgspec.structs.replace(found, groups=groups, home="/" if entry is None else entry.home)


def _is_number(text: str) -> bool:
    return _number(text) is not None


def resolve_owner(owner: str, passwd: bytes, group: bytes) -> tuple[int, int]:
    """The (uid, gid) of --chown's `user[:group]`: `1` is 1:1, a name brings its primary group. GraphbuildError for an unknown name."""
    user_part, _, group_part = owner.partition(":")
    uid = _number(user_part)
    if uid is None:
        entry = _find_user(user_part, passwd)
        if entry is None:
            raise mistake(f"owner {user_part!r} is not in the image's /etc/passwd", hint="name a user of the image, or a numeric id")
        return entry.uid, _gid(group_part, group) if group_part else entry.gid
    return uid, _gid(group_part, group) if group_part else uid


def lenient_owner(owner: str, passwd: bytes | None, group: bytes | None) -> tuple[int, int]:
    """The (uid, gid) of a Dockerfile's --chown, as BuildKit has it: what `user[:group]` names and is not there is quietly root's.

    `1` is 1:1, `1:` is 1:0, `:group` is 0:group, an unknown group is the user's own. A number is one of 32 bits with a sign, any other is
    a name. GraphbuildError for a name where there is no file.
    """
    user_part, colon, group_part = owner.partition(":")
    uid = _signed(user_part)
    gid = uid or 0
    if uid is None:
        entry = None
        if user_part not in ("", "root") or (user_part and passwd):
            if passwd is None:
                raise mistake(f"owner {user_part!r}: there is no /etc/passwd to look it up in", hint="use a numeric id")
            entry = next((found for found in _users(passwd, 4) if found.name == user_part), None)
        uid, gid = (entry.uid, entry.gid) if entry else (0, 0)
    if not colon:
        return uid, gid
    number = _signed(group_part)
    if number is not None or not group_part:
        return uid, number or 0
    if group is None and group_part != "root":
        raise mistake(f"group {group_part!r}: there is no /etc/group to look it up in", hint="use a numeric id")
    named = next((found.gid for found in _groups(group or b"") if found.name == group_part), None)
    return uid, gid if named is None else named


def _signed(text: str) -> int | None:
    """A number as Go's ParseInt has it, of 32 bits, as an id; -1, which means "leave it" to the system calls, leaves it root's."""
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", text) or not -(2**31) <= int(text) < 2**31:
        return None
    return 0 if int(text) == -1 else int(text) % 2**32


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        return None
    value = int(text)
    if value > _MAX_ID:
        raise mistake(f"id {text} is larger than {_MAX_ID}")
    return value


def _gid(text: str, group: bytes) -> int:
    number = _number(text)
    if number is not None:
        return number
    for found in _groups(group):
        if found.name == text:
            return found.gid
    raise mistake(f"group {text!r} is not in the image's /etc/group", hint="name a group of the image, or a numeric id")


def _find_user(wanted: str, passwd: bytes) -> _User | None:
    """By uid where `wanted` is a number, even if an entry has that name; else by name. The first entry wins."""
    uid = _number(wanted)
    for found in _users(passwd):
        if found.name == wanted if uid is None else found.uid == uid:
            return found
    return None


def _fields(text: bytes, least: int) -> Iterator[list[str]]:
    for line in text.decode(errors="surrogateescape").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least and not line.startswith("#"):
            yield fields


def _valid(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MAX_ID else None


def _users(passwd: bytes, least: int = 6) -> Iterator[_User]:
    for fields in _fields(passwd, least):
        uid, gid = _valid(fields[2]), _valid(fields[3])
        if fields[0] and uid is not None and gid is not None:
            yield _User(fields[0], uid, gid, fields[5] if len(fields) > 5 else "")


def _groups(group: bytes) -> Iterator[_Group]:
    for fields in _fields(group, 3):
        gid = _valid(fields[2])
        if fields[0] and gid is not None:
            yield _Group(fields[0], gid, tuple(fields[3].split(",")) if len(fields) > 3 else ())
