"""File modes as chmod(1) takes them, octal or symbolic, parsed once and applied to many files.

Source: POSIX chmod, "Extended Description"; without a `who`, the umask 022 applies, as BuildKit has it.
"""

import re

import msgspec

_OCTAL = re.compile(r"0*[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_UMASK = 0o022


class Clause(msgspec.Struct, frozen=True):
    who: str  # of "ugo"
    masked: bool  # no `who` was written: the umask applies
    operator: str
    permissions: str


class Mode(msgspec.Struct, frozen=True):
    """Either absolute `bits` or clauses that change what there is."""

    bits: int | None = None
    clauses: tuple[Clause, ...] = ()

    def apply(self, mode: int, *, folder: bool) -> int:
        """The permission bits (07777) of a file whose bits were `mode`."""
        if self.bits is not None:
            return self.bits
        for clause in self.clauses:
            mode = _apply(clause, mode, folder=folder)
        return mode


def parse_mode(text: str) -> Mode:
    """ValueError for what is no mode."""
    if text[:1].isdigit():
        if not _OCTAL.fullmatch(text):
            raise ValueError(f"invalid mode {text!r}: octal modes go up to 07777")
        return Mode(int(text, 8))
    clauses: list[Clause] = []
    for part in text.split(","):
        found = _CLAUSE.fullmatch(part)
        if found is None:
            raise ValueError(f"invalid mode {text!r}")
        who = "ugo" if not found[1] or "a" in found[1] else found[1]
        clauses.extend(Clause(who, not found[1], operator, permissions) for operator, permissions in _ACTION.findall(found[2]))
    return Mode(None, tuple(clauses))


def _apply(clause: Clause, mode: int, *, folder: bool) -> int:
    bits = 0
    for who in clause.who:
        bits |= _permissions(clause, mode, folder=folder) << _SHIFT[who]
    special = 0
    if "s" in clause.permissions:
        special |= (0o4000 if "u" in clause.who else 0) | (0o2000 if "g" in clause.who else 0)
    if "t" in clause.permissions:
        special |= 0o1000
    if clause.masked:
        bits &= ~_UMASK
    if clause.operator == "+":
        return mode | bits | special
    if clause.operator == "-":
        return mode & ~(bits | special)
    kept = mode
    for who in clause.who:
        kept &= ~(0o7 << _SHIFT[who])
    if not folder:
        kept &= ~((0o4000 if "u" in clause.who else 0) | (0o2000 if "g" in clause.who else 0))
    return kept | bits | special


def _permissions(clause: Clause, mode: int, *, folder: bool) -> int:
    if clause.permissions in _SHIFT:
        return mode >> _SHIFT[clause.permissions] & 0o7
    bits = 0
    for letter in clause.permissions:
        bits |= {"r": 4, "w": 2, "x": 1}.get(letter, 0)
        if letter == "X" and (folder or mode & 0o111):
            bits |= 1
    return bits
