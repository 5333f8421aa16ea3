"""Compare two root file systems, as tars: paths, types, modes, owners, links and contents; times aside.

What may differ is a list of patterns with a reason each. `python compare.py OURS.tar THEIRS.tar` prints what has none.
"""

import hashlib
import re
import sys
import tarfile
from collections.abc import Iterator
from typing import NamedTuple


class Entry(NamedTuple):
    kind: str
    mode: int
    owner: tuple[int, int]
    content: str  # link target, device numbers or sha256


# Ours against `mmdebstrap --variant=essential`; every pattern is a full match of a path.
EXPLAINED = (
    (r"dev/.*", "device nodes belong to the container runtime"),
    (r"etc/(fstab|hostname|resolv\.conf)", "mmdebstrap's own: a stub, and copies of the build host's"),
    (r"etc/hosts", "the sandbox's while scripts run, so trixie's netbase writes none; a container runtime's later"),
    (r"usr/share/python3/debpython/__pycache__/.*", "theirs are a by-product of an import and checked by time, ours are checked by hash"),
    (
        r"etc/apt(/.*)?|var/(lib|cache|log)/apt(/.*)?",
        "mmdebstrap drives apt from outside and makes its folders; here only the package apt does",
    ),
    (r"var/(cache/debconf|lib/dpkg)/.*-old", "the backup of the state before the last"),
    (r"var/lib/dpkg/lock(-frontend)?|var/lib/dpkg/triggers/Lock", "lock files of apt and dpkg"),
    (r"(var/lib/dpkg/)available", "apt's, not dpkg's, to write"),
    (r"run/.*", "mount points of the step"),
)


def entries(path: str) -> dict[str, Entry]:
    """Every entry of a tar by its path, without a leading `./`; hard links as the file they name."""
    found: dict[str, Entry] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            found[member.name.removeprefix("./").rstrip("/") or "."] = _entry(tar, member)
    for name, entry in list(found.items()):
        if entry.kind == "hardlink":
            found[name] = found[entry.content.removeprefix("./")]
    found.pop(".", None)  # not every tar says what its root is like
    return found


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    owner = (member.uid, member.gid)
    if member.islnk():
        return Entry("hardlink", 0, owner, member.linkname)
    if member.issym():
        return Entry("symlink", 0o777, owner, member.linkname)
    if member.isdir():
        return Entry("directory", member.mode, owner, "")
    if member.isfile():
        stream = tar.extractfile(member)
        return Entry("file", member.mode, owner, hashlib.file_digest(stream, "sha256").hexdigest() if stream else "")
    return Entry("other", member.mode, owner, f"{member.devmajor}:{member.devminor}")


def differences(ours: dict[str, Entry], theirs: dict[str, Entry], explained: tuple[tuple[str, str], ...] = EXPLAINED) -> Iterator[str]:
    """One line for each path that differs and that no pattern explains."""
    known = re.compile("|".join(f"(?:{pattern})" for pattern, _reason in explained))
    for path in sorted({*ours, *theirs}):
        one, other = ours.get(path), theirs.get(path)
        if one == other or known.fullmatch(path):
            continue
        if one is None or other is None:
            yield f"{path}: only {'theirs' if one is None else 'ours'} ({(one or other).kind})"
        else:
            yield f"{path}: ours {one}, theirs {other}"


if __name__ == "__main__":
    lines = list(differences(entries(sys.argv[1]), entries(sys.argv[2])))
    print("\n".join(lines) or "equal")
    sys.exit(bool(lines))
