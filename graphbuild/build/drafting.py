"""What a search finds, in its order, as the entries of a layer, and of a draft of its tar."""

from collections.abc import Callable, Iterable

from msgspec.structs import force_setattr

from graphbuild.build.source import SourceFile
from graphbuild.layers.draft import Draft
from graphbuild.layers.stretch import NOTHING, Lead
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError

_FILE, _DIRECTORY = Kind.FILE, Kind.DIRECTORY  # an enum's members are slow to look up, tens of thousands of times
# What was found, and of a folder whether it is chosen with something in it → what it is in the layer, if anything.
Making = Callable[[SourceFile, bool], Entry | None]


class Drafting:
    """Makes entries, and gives those of files their places in the draft, if there is one, when their contents are about to be read."""

    def __init__(self, making: Making, draft: Draft | None = None) -> None:
        self._making = making
        self._draft = draft
        self._sources: list[SourceFile] = []
        self._entries: list[Entry | None] = []  # of the sources; nothing of a folder, which may be implicit
        self._placed = 0  # so many of them are in the draft

    @property
    def fd(self) -> int:
        """The draft's descriptor; -1 where there is none."""
        return self._draft.fd if self._draft else -1

    @property
    def size(self) -> int:
        """The place of what comes next; -1 where there is none."""
        return self._draft.size if self._draft else -1

    def add(self, found: Iterable[SourceFile]) -> None:
        """What was found, the files among it in the order in which they are asked for. GraphbuildError for what cannot be in the layer."""
        making, entries = self._making, self._entries
        for source in found:
            self._sources.append(source)
            entries.append(None if source.kind is _DIRECTORY else making(source, False))

    def leads(self, count: int) -> list[Lead]:
        """What comes before the contents of so many files."""
        found = self._place(count)
        return found if len(found) == count else [NOTHING] * count

    def written(self, end: int) -> None:
        """All that is before this offset has been written."""
        if self._draft is not None:
            self._draft.written(end)

    def finish(self) -> None:
        """What was found after the last file has its place, too."""
        self._place(len(self._entries))

    def lose(self) -> None:
        """Not all of it is read here, or there is no place for it."""
        if self._draft is not None:
            self._draft.lose()
            self._draft = None

    def made(self) -> tuple[list[Entry], list[SourceFile]]:
        """The entries of all that was found, when the files among it have their digests, and what each is of."""
        parents = {source.path.rpartition(b"/")[0] for source in self._sources} if None in self._entries else set()
        entries, sources = [], []
        for source, made in zip(self._sources, self._entries, strict=True):
            entry = made or self._making(source, source.path in parents)
            if entry is not None:
                if source.digest:
                    force_setattr(entry, "digest", source.digest)  # nobody has seen it without, but for the draft
                entries.append(entry)
                sources.append(source)
        return entries, sources

    def _place(self, count: int) -> list[Lead]:
        """What comes before the contents of up to so many files; each has its place, as has what was found before it."""
        found: list[Lead] = []
        draft, entries, at = self._draft, self._entries, self._placed
        if draft is None:
            return found
        try:
            while len(found) < count and at < len(entries):
                entry = entries[at] or self._likely(at)
                at += 1
                if entry is not None:
                    lead = draft.add(entry)
                    if entry.kind is _FILE:
                        found.append(lead)
        except (GraphbuildError, OSError):  # who makes the layer meets it again
            self.lose()
        self._placed = at
        return found

    def _likely(self, at: int) -> Entry | None:
        """What a folder is if what was found next tells whether there is something in it."""
        source, following = self._sources[at], self._sources[at + 1 : at + 2]
        return self._making(source, any(other.path.rpartition(b"/")[0] == source.path for other in following))
