"""What `${name}` means in one target: matrix cell, then `--set`, then the target's vars, its package's, the workspace's, then built-ins.

Vars may mention each other; a var that mentions itself, at any remove, is an error. Built-ins are functions given by the
caller, called only when they are mentioned, so that what a target does not mention cannot be in its key.
"""

import re
from collections.abc import Callable, Mapping, Sequence

_MENTION = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_LONGEST = 1 << 20  # characters of a value: vars that mention each other twice, a few dozen deep, would fill any memory


class Variables:
    """One target's view of the variables. Look-ups raise KeyError for a name that nobody knows, ValueError for a circle or a value too long."""

    def __init__(self, layers: Sequence[Mapping[str, str]], builtin: Callable[[str], str | None]) -> None:
        """`layers`: the first that has a name says what it means; `builtin` is asked for what none has."""
        self._layers = layers
        self._builtin = builtin
        self._open: list[str] = []
        self._known: dict[str, str] = {}  # of vars that mention others

    def __call__(self, name: str) -> str:
        for layer in self._layers:
            if name in layer:
                return self._expanded(name, layer[name])
        value = self._builtin(name)
        if value is None:
            raise KeyError(name)
        return value

    def names(self) -> list[str]:
        """The declared names, for suggestions."""
        return sorted({name for layer in self._layers for name in layer})

    def _expanded(self, name: str, value: str) -> str:
        if "${" not in value:
            return value
        if name in self._known:
            return self._known[name]
        if name in self._open:
            chain = " → ".join([*self._open[self._open.index(name) :], name])
            raise ValueError(f"variables mention each other in a circle: {chain}")
        left = _LONGEST

        def mentioned(match: re.Match[str]) -> str:
            nonlocal left
            found = "${" if match[1] is None else self(match[1])
            left -= len(found)
            if left < 0:
                raise ValueError(f"variable {name!r} expands to more than {_LONGEST >> 20} Mi characters")
            return found

        self._open.append(name)
        try:
            return self._known.setdefault(name, _MENTION.sub(mentioned, value))
        finally:
            self._open.pop()
