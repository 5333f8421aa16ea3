"""InRelease: bytes and keys in, a verified Release out. Touches no file and no network.

Invariants: only bytes under a valid signature by a key of the keyring are looked at; the Release is of the suite that was
asked for and not past its Valid-Until; a file has a SHA256 or does not exist (MD5 and SHA1 are not read).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from graphbuild.rules import mistake

_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_ENTRY = re.compile(r" ([0-9a-f]{64}) +([0-9]{1,15}) +([A-Za-z0-9][A-Za-z0-9+._/-]*)")


class IndexFile(msgspec.Struct, frozen=True):
    """A file below `dists/<suite>/`. `size` in bytes."""

    path: str
    sha256: str
    size: int


class Release(msgspec.Struct, frozen=True):
    """A verified Release. `files` by path."""

    suite: str
    codename: str
    date: str
    by_hash: bool
    architectures: frozenset[str]
    files: Mapping[str, IndexFile]


def read_release(signed: bytes, keyring: bytes, suite: str, now: datetime | None) -> Release:
    """Verify an InRelease of `suite` and parse it. `now` None: Valid-Until is not looked at (snapshots are old by intent)."""
    fields = _fields(_verified(signed, keyring, suite))
    release = Release(
        suite=fields.get("Suite", ""),
        codename=fields.get("Codename", ""),
        date=fields.get("Date", ""),
        by_hash=fields.get("Acquire-By-Hash", "") == "yes",
        architectures=frozenset(fields.get("Architectures", "").split()),
        files={file.path: file for line in fields.get("SHA256", "").split("\n") if line.strip() for file in [_file(line, suite)]},
    )
    if suite not in (release.suite, release.codename):
        raise mistake(
            f"asked for suite {suite!r}, but the mirror's Release is of {release.codename or release.suite!r}",
            hint="the mirror is wrong, or somebody replays another suite",
        )
    if now is not None:
        _check_age(fields.get("Valid-Until", ""), suite, now)
    if not release.files:
        raise mistake(f"Release of {suite!r} lists no SHA256: nothing in it can be trusted")
    return release


def _verified(signed: bytes, keyring: bytes, suite: str) -> str:
    """The signed text itself, never what stands around it."""
    from pysequoia import Cert, verify  # a native library, needed only to lock

    if not signed.startswith(_SIGNED):
        raise mistake(f"InRelease of {suite!r} is not signed", hint="is the mirror a Debian archive, or a login page in between?")
    try:
        certificates = Cert.split_bytes(keyring)
    except Exception as error:
        raise mistake(f"`keyring` holds no OpenPGP public keys: {_first_line(error)}") from error
    try:
        result = verify(bytes=signed, store=lambda _ids: certificates)
    except Exception as error:  # pysequoia raises bare Exceptions
        raise mistake(
            f"the signature of InRelease of {suite!r} cannot be verified: {_first_line(error)}",
            hint="`keyring` must hold the key that signs this archive",
        ) from error
    if not result.valid_sigs or result.bytes is None:
        raise mistake(f"InRelease of {suite!r} has no valid signature", hint="`keyring` must hold the key that signs this archive")
    try:
        return bytes(result.bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise mistake(f"Release of {suite!r} is not UTF-8") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _fields(text: str) -> dict[str, str]:
    """One deb822 stanza; continuation lines keep their leading space, the first of a field that is repeated wins."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith((" ", "\t")):
            if name:
                fields[name] += "\n" + line
        elif ":" in line:
            key, _, value = line.partition(":")
            name = "" if key in fields else key
            fields.setdefault(key, value.strip())
    return fields


def _file(line: str, suite: str) -> IndexFile:
    match = _ENTRY.fullmatch(line)
    if match is None or ".." in match[3].split("/"):
        raise mistake(f"Release of {suite!r} has an entry that cannot be read: {line[:120]!r}")
    return IndexFile(match[3], match[1], int(match[2]))


def _check_age(valid_until: str, suite: str, now: datetime) -> None:
    if not valid_until:
        return
    try:
        end = parsedate_to_datetime(valid_until)
    except ValueError as error:
        raise mistake(f"Release of {suite!r} has a Valid-Until that is no date: {valid_until[:80]!r}") from error
    if now > (end if end.tzinfo else end.replace(tzinfo=UTC)):
        raise mistake(
            f"Release of {suite!r} expired on {valid_until}",
            hint="the mirror is stale, or somebody holds updates back; set `snapshot` to build from an old state on purpose",
        )
