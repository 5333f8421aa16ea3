"""Completion for shells: a script each, which asks `graphbuild __complete WORD…` and offers the lines it prints.

The protocol: the words after the program's name up to the cursor, the last one being completed (it may be empty). A folder of
a workspace may have any name, and a shell may take what it inserts literally, so a candidate that a shell would read as
anything but one word is never offered.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from graphbuild.values.errors import mistake

SERVICES = ("github", "gitlab")
SHELLS = ("bash", "fish", "zsh")

_OF_FILES = ("image load", "image import")
_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-][A-Za-z0-9_@%+=:,./\[\]-]*")


def complete(
    words: Sequence[str],
    commands: Mapping[str, Sequence[str]],
    labels: Callable[[], Iterable[str]],
    images: Callable[[], Iterable[str]] = tuple,
) -> list[str]:
    """The candidates for the last of `words`, sorted; none where a file name is what may come.

    `commands` maps each subcommand to its flags: `--offline`, `--store=` (takes a value), `--progress=auto|plain` (one of
    these); "image ls" is an action of one. `labels` is called only where a label may stand, `images` where an image's name may; an
    exclusion (`-//x`) completes as well.
    """
    *before, current = words or [""]
    if not before:
        return _matching(current, (name for name in commands if " " not in name))
    command, *rest = before
    if actions := [name.partition(" ")[2] for name in commands if name.startswith(f"{command} ")]:
        if not rest:
            return _matching(current, actions)
        command, *rest = (f"{command} {rest[0]}", *rest[1:])
    flags = _flags(commands.get(command, ()))
    name, equals, typed = current.partition("=")
    if equals and name.startswith("--"):
        return [f"{name}={value}" for value in _matching(typed, flags.get(name) or ())]
    if rest and "--" not in rest and (values := flags.get(rest[-1])) is not None:
        return _matching(current, values)
    if current.startswith("-") and not current.startswith("-/") and "--" not in rest:
        return _matching(current, flags)
    return _arguments(command, current, labels, images) if command in commands else []


def _arguments(command: str, current: str, labels: Callable[[], Iterable[str]], images: Callable[[], Iterable[str]]) -> list[str]:
    if command == "ci init":
        return _matching(current, SERVICES)
    if " " in command:
        return _matching(current, images()) if command.startswith("image ") and command not in _OF_FILES else []
    if command == "completion":
        return _matching(current, SHELLS)
    if current.startswith("-/"):
        return _matching(current, [f"-{label}" for label in labels()])
    return _matching(current, labels())


def _flags(texts: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """Flags and the values they take: None for none, () for any."""
    parts = [text.partition("=") for text in texts]
    return {name: tuple(values.split("|")) if values else () if equals else None for name, equals, values in parts}


def _matching(current: str, candidates: Iterable[str]) -> list[str]:
    return sorted({text for text in candidates if text.startswith(current) and _WORD.fullmatch(text)})


def script(shell: str) -> str:
    """The script that makes a shell complete graphbuild's words. GraphbuildError for a shell that has none."""
    match shell:
        case "bash":
            return _BASH
        case "zsh":
            return _ZSH
        case "fish":
            return _FISH
    raise mistake(f"no completion for {shell!r}", hint=f"one of {', '.join(SHELLS)}")


# bash cuts words at the characters of COMP_WORDBREAKS, which has : and =, and replaces only the last piece: the line is split
# anew at spaces, and what stands before the last such character is taken off the candidates.
_BASH = r"""# bash completion for graphbuild: source <(graphbuild completion bash)
_graphbuild() {
    local line=${COMP_LINE:0:COMP_POINT} words current candidates prefix=
    IFS=$' \t\n' read -r -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    mapfile -t candidates < <(graphbuild __complete "${words[@]:1}" 2>/dev/null)
    [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && prefix=${current%"${current##*:}"}
    [[ $COMP_WORDBREAKS == *=* && ${current#"$prefix"} == *=* ]] && prefix=${current%"${current##*=}"}
    COMPREPLY=("${candidates[@]#"$prefix"}")
    return 0
}
complete -o default -F _graphbuild graphbuild
"""

_ZSH = r"""#compdef graphbuild
# zsh completion for graphbuild: source <(graphbuild completion zsh), after compinit; or as _graphbuild in a folder of fpath
_graphbuild() {
    local -a candidates
    candidates=("${(@f)$(graphbuild __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=("${(@)candidates:#}")
    if (( ${#candidates} )); then
        compadd -- "${candidates[@]}"
    else
        _files
    fi
}
if [[ $funcstack[1] == _graphbuild ]]; then
    _graphbuild "$@"
else
    compdef _graphbuild graphbuild
fi
"""

_FISH = r"""# fish completion for graphbuild: graphbuild completion fish | source
function __graphbuild_complete
    set -l words (commandline -opc)
    set -l candidates (graphbuild __complete $words[2..] (commandline -ct) 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c graphbuild -f -a '(__graphbuild_complete)'
"""
