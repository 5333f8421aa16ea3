"""Packages indexes: text in, candidates by name out. Touches no file and no network.

Invariants: of each name only the newest version is a candidate, as for apt where all sources have one priority, unless one is held at
another; the same version of two sources is one candidate with two URLs only if both have the same SHA256. Of 60,000 stanzas only what every
search needs is read at once (name, version, provides); the rest of a stanza is parsed when the resolver asks for it.
"""

import copy
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from graphbuild.rules import mistake
from graphbuild_debian.records import SIZE_LIMIT
from graphbuild_debian.relations import Group, Relation, compare, meets, parse_groups

_PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}


class Package(msgspec.Struct, frozen=True):
    """A candidate, parsed. `priority`: 0 is required. `provides`: name and version, "" for none."""

    name: str
    version: str
    arch: str
    source: str
    multi_arch: str
    essential: bool
    priority: int
    sha256: str
    size: int
    urls: tuple[str, ...]
    pre_depends: tuple[Group, ...]
    depends: tuple[Group, ...]
    recommends: tuple[Group, ...]
    conflicts: tuple[Group, ...]  # Conflicts and Breaks: neither may stand beside this package
    provides: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class _Stanza(msgspec.Struct):
    version: str
    text: str
    urls: tuple[str, ...]


class Index:
    """What can be installed on one architecture: `candidate` by name, `providers` by virtual name."""

    def __init__(self, arch: str, sources: Iterable[tuple[str, str]], exclude: Iterable[str] = ()) -> None:
        """`sources`: (mirror, text of a Packages file), in the order in which they are preferred where versions are equal."""
        self._arch = arch
        self._stanzas: dict[str, _Stanza] = {}
        self._others: dict[str, list[_Stanza]] = {}  # what is not the newest of its name
        self._parsed: dict[str, Package] = {}
        excluded = frozenset(exclude)
        for mirror, text in sources:
            self._add(mirror, text, excluded)
        self._provided = self._virtual_names()

    def version(self, name: str, version: str, sha256: str) -> Package | None:
        """One version of a package, also one that is not the newest; None where no source lists it (any more)."""
        newest = self._stanzas.get(name)
        for stanza in (*([newest] if newest else ()), *self._others.get(name, ())):
            if stanza.version == version and _field(stanza.text, "SHA256") == sha256:
                return _package(name, stanza, self._arch)
        return None

    def held(self, packages: Mapping[str, Package]) -> "Index":
        """The same index with these, by name, as the candidates, whatever is newer."""
        index = copy.copy(self)
        index._parsed = {**self._parsed, **packages}  # noqa: SLF001 - its own kind
        return index

    def candidate(self, name: str) -> Package | None:
        """The package of that very name."""
        package = self._parsed.get(name)
        if package is None and (stanza := self._stanzas.get(name)) is not None:
            package = self._parsed[name] = _package(name, stanza, self._arch)
        return package

    def providers(self, name: str) -> list[Package]:
        """Packages that provide a virtual name, best first: essential, then by priority, then by name."""
        found = [package for other in self._provided.get(name, ()) if (package := self.candidate(other)) is not None]
        return sorted(found, key=lambda package: (not package.essential, package.priority, package.name))

    def essential(self) -> list[str]:
        """The names of all Essential packages, sorted."""
        return sorted(name for name in self._stanzas if _field(self._stanzas[name].text, "Essential") == "yes")

    def names(self) -> Iterable[str]:
        """Every name that has a candidate."""
        return self._stanzas.keys()

    def _add(self, mirror: str, text: str, excluded: frozenset[str]) -> None:
        known = self._stanzas
        for stanza in text.split("\n\n"):
            body = "\n" + stanza
            name, version = _field(body, "Package"), _field(body, "Version")
            if not name or name in excluded or _field(body, "Architecture") not in (self._arch, "all"):
                continue
            before = known.get(name)
            if before is None or (order := _order(version, before.version, name)) > 0:
                known[name] = _Stanza(version, body, (mirror,))
                if before is not None:
                    self._others.setdefault(name, []).append(before)
            elif order == 0 and _field(body, "SHA256") == _field(before.text, "SHA256"):
                before.urls = before.urls if mirror in before.urls else (*before.urls, mirror)
            else:
                self._others.setdefault(name, []).append(_Stanza(version, body, (mirror,)))

    def _virtual_names(self) -> dict[str, list[str]]:
        provided: dict[str, list[str]] = {}
        for name, stanza in self._stanzas.items():
            for part in _field(stanza.text, "Provides").split(","):
                virtual = part.partition("(")[0].strip()
                if virtual:
                    provided.setdefault(virtual.partition(":")[0], []).append(name)
        return provided


def _field(stanza: str, name: str) -> str:
    """A field's value, continuation lines folded into it; "" where there is none. `stanza` starts with a newline."""
    start = stanza.find(f"\n{name}:")
    if start < 0:
        return ""
    start += len(name) + 2
    end = stanza.find("\n", start)
    while end >= 0 and stanza.startswith((" ", "\t"), end + 1):
        end = stanza.find("\n", end + 1)
    return (stanza[start:] if end < 0 else stanza[start:end]).strip()


def _order(one: str, other: str, name: str) -> int:
    try:
        return compare(one, other)
    except ValueError as error:
        raise mistake(f"package {name!r} has a version that is none: {one[:80]!r} or {other[:80]!r}") from error


def _package(name: str, stanza: _Stanza, arch: str) -> Package:
    text = stanza.text
    try:
        path = _path(_field(text, "Filename"))
        return Package(
            name=name,
            version=stanza.version,
            arch=_field(text, "Architecture"),
            source=_field(text, "Source").partition(" ")[0] or name,
            multi_arch=_field(text, "Multi-Arch"),
            essential=_field(text, "Essential") == "yes",
            priority=_PRIORITIES.get(_field(text, "Priority"), 5),
            sha256=_sha256(_field(text, "SHA256")),
            size=_size(_field(text, "Size")),
            urls=tuple(f"{mirror}/{path}" for mirror in stanza.urls),
            pre_depends=parse_groups(_field(text, "Pre-Depends")),
            depends=parse_groups(_field(text, "Depends")),
            recommends=parse_groups(_field(text, "Recommends")),
            conflicts=parse_groups(_field(text, "Conflicts")) + parse_groups(_field(text, "Breaks")),
            provides=tuple((one.name, one.version) for group in parse_groups(_field(text, "Provides")) for one in group),
        )
    except ValueError as error:
        raise mistake(f"the archive's entry of package {name!r} ({arch}) cannot be used: {error}") from error


def _path(filename: str) -> str:
    parts = filename.split("/")
    if not filename.isascii() or not filename.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"Filename {filename[:120]!r} is no path below the mirror")
    return quote(filename, safe="/+~:%")


def _size(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 20 or not 0 < int(text) <= SIZE_LIMIT:
        raise ValueError(f"Size {text[:80]!r} is none")
    return int(text)


def _sha256(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"SHA256 {text[:80]!r} is none")
    return text


def satisfies(package: Package, relation: Relation, arch: str) -> bool:
    """Whether that package, by its own name or one that it provides, is what the relation asks for."""
    match relation.qualifier:
        case "" | "native":
            pass
        case "any":
            if package.multi_arch != "allowed":
                return False
        case other if other != arch:
            return False
    if package.name == relation.name and meets(package.version, relation):
        return True
    return any(
        name == relation.name and (not relation.operator or (version != "" and meets(version, relation)))
        for name, version in package.provides
    )
