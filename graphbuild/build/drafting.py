"""What a search finds, in its order, as the entries of a draft."""

from collections import deque
from collections.abc import Callable, Iterable

from graphbuild.build.source import SourceFile
from graphbuild.layers.draft import Draft
from graphbuild.layers.stretch import NOTHING, Lead
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError

_FILE = Kind.FILE
# What was found, and of a folder whether it is chosen with something in it → what it is in the layer, if anything.
Making = Callable[[SourceFile, bool], Entry | None]


class Drafting:
    """Gives the entries of files their places in a draft, when their contents are about to be read."""

    def __init__(self, draft: Draft, making: Making) -> None:
        self._making = making
        self._found: deque[SourceFile] = deque()
        self._draft: Draft | None = draft

    @property
    def fd(self) -> int:
        """The draft's descriptor; -1 where there is none."""
        return self._draft.fd if self._draft else -1

    @property
    def size(self) -> int:
        """The place of what comes next; -1 where there is none."""
        return self._draft.size if self._draft else -1

    def add(self, found: Iterable[SourceFile]) -> None:
        """What was found, the files among it in the order in which they are asked for."""
        self._found.extend(found)

    def leads(self, count: int) -> list[Lead]:
        """What comes before the contents of so many files."""
        try:
            return [self._next() for _ in range(count)]
        except (GraphbuildError, OSError):  # who makes the layer meets it again
            self.lose()
            return [NOTHING] * count

    def written(self, end: int) -> None:
        """All that is before this offset has been written."""
        if self._draft is not None:
            self._draft.written(end)

    def finish(self) -> None:
        """What was found after the last file has its place, too."""
        try:
            while self._found:
                self._next()
        except (GraphbuildError, OSError):
            self.lose()

    def lose(self) -> None:
        """Not all of it is read here, or there is no place for it."""
        if self._draft is not None:
            self._draft.lose()
            self._draft = None

    def _next(self) -> Lead:
        """Of the next file: its headers, and those of what was found before it."""
        draft, found = self._draft, self._found
        while draft is not None and found:
            source = found.popleft()
            is_file = source.kind is _FILE
            filled = not is_file and bool(found) and found[0].path.rpartition(b"/")[0] == source.path
            entry = self._making(source, filled)
            lead = draft.add(entry) if entry is not None else NOTHING
            if is_file:
                if entry is None:
                    self.lose()
                return lead
        return NOTHING
