"""File modes as chmod(1) takes them, octal or symbolic, parsed once and applied to many files.

Source: POSIX chmod, "Extended Description", as BuildKit has it: without a `who` all are meant, whatever the umask; X looks at the bits
that the file had at first; `=` also drops the set-id bits of a folder.
"""

import re

import msgspec

_OCTAL = re.compile(r"0*[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}


class Clause(msgspec.Struct, frozen=True):
    who: str  # of "ugo"
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
        anyone = folder or bool(mode & 0o111)
        for clause in self.clauses:
            mode = _apply(clause, mode, anyone=anyone)
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
        clauses.extend(Clause(who, operator, permissions) for operator, permissions in _ACTION.findall(found[2]))
    return Mode(None, tuple(clauses))


def _apply(clause: Clause, mode: int, *, anyone: bool) -> int:
    """`anyone`: what X asks for, whether it is a folder or somebody may execute it."""
    bits = special = 0
    for who in clause.who:
        bits |= _permissions(clause, mode, anyone=anyone) << _SHIFT[who]
    if "s" in clause.permissions:
        special |= _set_id(clause)
    if "t" in clause.permissions:
        special |= 0o1000
    if clause.operator == "+":
        return mode | bits | special
    if clause.operator == "-":
        return mode & ~(bits | special)
    kept = mode & ~_set_id(clause)
    for who in clause.who:
        kept &= ~(0o7 << _SHIFT[who])
    return kept | bits | special


def _set_id(clause: Clause) -> int:
    return (0o4000 if "u" in clause.who else 0) | (0o2000 if "g" in clause.who else 0)


def _permissions(clause: Clause, mode: int, *, anyone: bool) -> int:
    if clause.permissions in _SHIFT:
        return mode >> _SHIFT[clause.permissions] & 0o7
    bits = 0
    for letter in clause.permissions:
        bits |= {"r": 4, "w": 2, "x": 1}.get(letter, 0)
        if letter == "X" and anyone:
            bits |= 1
    return bits
