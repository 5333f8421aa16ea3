"""The attributes that every target may have: their written forms, after expansion, as one `Common`.

Knows nothing of labels' meaning, nor of what a rule does with a mount.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from graphbuild.rules.mounts import AgentMount, CacheMount, SecretMount, TmpfsMount
from graphbuild.spec.convert import Path, convert
from graphbuild.spec.model import (
    MOUNTS,
    BindMount,
    BindText,
    CacheText,
    Common,
    FilledCache,
    Mount,
    SecretEntryText,
    SecretText,
    SshText,
    TmpfsText,
)
from graphbuild.spec.problem import suggest
from graphbuild.values.duration import parse_duration, parse_mode, parse_size
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped, mistake
from graphbuild.values.label import NAME
from graphbuild.values.platform import normal_platform

T = TypeVar("T")

_PACKAGES = re.compile(r"//(\.\.\.|[^/:\s]+(/[^/:\s]+)*)?")

NAME_HINT = "letters, digits, _ . + -, and none of . + - at the start"
DURATION_HINT = 'for example "90s", "5m" or "1h30m"'
SIZE_HINT = 'for example "64m" or "2g"'
MODE_HINT = 'octal, in quotes: for example "0755"'
_MOST_CELLS = 10_000  # of a matrix: ten variables of ten values would be more targets than any memory holds


def convert_common(data: Mapping[str, Any], *, file: str, path: Path) -> Common:
    """Convert a declaration's common attributes, expanded. GraphbuildError holds what is wrong in any of them."""
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in data.items():
        try:
            found[name] = _CONVERTERS[name](value, file, (*path, name))
        except KeyError:
            place = SpecPath(file, (*path, name), key=True)
            problems.append(Problem(f"unknown key {clipped(name)}", place, suggest(name, _CONVERTERS)))
        except GraphbuildError as error:
            problems.extend(error.problems)
    if problems:
        raise GraphbuildError(*problems)
    mounts = found.pop("mounts", ()) + found.pop("secrets", ())
    return Common(from_=found.pop("from", ()), mounts=mounts, **found)


def convert_matrix(value: Any, *, file: str, path: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A matrix as (variable, values) pairs, in the order of the file. It is read before anything else is expanded."""
    matrix = convert(value, dict[str, tuple[str | bool, ...]], file=file, path=path)
    if (count := math.prod(map(len, matrix.values()))) > _MOST_CELLS:
        raise mistake(f"the matrix has {count} cells", SpecPath(file, path, key=True), f"at most {_MOST_CELLS}")
    for name, cells in matrix.items():
        texts = [_cell(cell) for cell in cells]
        if not NAME.fullmatch(name):
            raise mistake(f"{clipped(name)} is not a name", SpecPath(file, (*path, name), key=True), "letters, digits, _ . + -")
        if not cells:
            raise mistake(f"matrix variable {name!r} has no values", SpecPath(file, (*path, name)), "give it at least one")
        for index, text in enumerate(texts):
            where = SpecPath(file, (*path, name, index))
            if text in texts[:index]:
                raise mistake(f"{clipped(text)} is in the matrix twice", where, "remove one of them")
            if not text or any(character in text for character in ",=[]\n"):
                raise mistake(
                    f"{clipped(text)} cannot be a matrix value",
                    where,
                    "it becomes part of a label: it is not empty and holds none of , = [ ]",
                )
    return tuple((name, tuple(_cell(cell) for cell in cells)) for name, cells in matrix.items())


def convert_vars(value: Any, *, file: str, path: Path) -> dict[str, str]:
    """The variables of a `vars:` map. GraphbuildError holds all that is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise mistake(f"`vars` must be a map, not {kind_of(value)}", SpecPath(file, path), "write one `name: value` a line")
    found = {}
    problems = []
    for name, text in value.items():
        where = SpecPath(file, (*path, name))
        if not NAME.fullmatch(name):
            problems.append(Problem(f"{clipped(name)} is not a name", SpecPath(file, (*path, name), key=True), NAME_HINT))
        elif isinstance(text, str | bool):
            found[name] = _cell(text)
        else:
            problems.append(Problem(f"variable {name!r} must be text, not {kind_of(text)}", where, 'for nothing, write ""'))
    if problems:
        raise GraphbuildError(*problems)
    return found


def convert_platforms(value: Any, *, file: str, path: Path) -> tuple[str, ...]:
    """The platforms of a target, each once, in order."""
    found: dict[str, None] = {}
    for index, text in enumerate(convert(value, tuple[str, ...], file=file, path=path)):
        hint = "write os/arch[/variant], such as linux/amd64 or linux/arm/v7"
        found[parsed(normal_platform, text, SpecPath(file, (*path, index)), hint)] = None
    return tuple(found)


def convert_visibility(value: Any, *, file: str, path: Path) -> tuple[str, ...]:
    """Who may name a target besides its package: packages ("svc/web"), and trees of them ("svc/..."; "..." is everybody)."""
    found = convert(value, str | tuple[str, ...], file=file, path=path)  # type: ignore[arg-type]
    texts: tuple[str, ...] = (found,) if isinstance(found, str) else tuple(found)
    packages = []
    for index, text in enumerate(texts):
        where = SpecPath(file, path if isinstance(found, str) else (*path, index))
        if text in ("private", "public"):
            if len(texts) > 1:
                raise mistake(f"{text!r} stands alone", where, "leave the others away, or it")
            return ("...",) if text == "public" else ()
        if not _PACKAGES.fullmatch(text):
            raise mistake(f"{clipped(text)} is nobody", where, "public, private, a package (//svc/web), or a tree of them (//svc/...)")
        packages.append(text[2:])
    return tuple(packages)


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    return {dict: "a map", list: "a list", str: "text", bool: "true or false"}.get(type(value), "nothing")


def _cell(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _list(value: Any, file: str, path: Path) -> tuple[str, ...]:
    return convert(value, tuple[str, ...], file=file, path=path)


def _text(value: Any, file: str, path: Path) -> str:
    return convert(value, str, file=file, path=path)


def _from(value: Any, file: str, path: Path) -> tuple[str, ...]:
    found = convert(value, str | tuple[str, ...], file=file, path=path)  # type: ignore[arg-type]
    labels: tuple[str, ...] = (found,) if isinstance(found, str) else tuple(found)
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise mistake(f"{clipped(label)} is in `from` twice", SpecPath(file, (*path, index)), "remove one of them")
    return labels


def _env(value: Any, file: str, path: Path) -> tuple[tuple[str, str], ...]:
    found = convert(value, dict[str, str], file=file, path=path)
    for name, text in found.items():
        if not name or "=" in name or "\0" in name:
            raise mistake(f"{clipped(name)} cannot name a variable", SpecPath(file, (*path, name), key=True), "write `NAME: value`")
        if "\0" in text:
            raise mistake("a variable cannot hold NUL", SpecPath(file, (*path, name)), "leave it out")
    return tuple(found.items())


def _shell(value: Any, file: str, path: Path) -> tuple[str, ...]:
    """A list as it is; text is a shell's path, which takes the command after -c."""
    found = convert(value, str | tuple[str, ...], file=file, path=path)  # type: ignore[arg-type]
    words: tuple[str, ...] = tuple(found.split()) if isinstance(found, str) else tuple(found)
    if not words:
        raise mistake("the shell is empty", SpecPath(file, path), "for example `shell: [/bin/bash, -euo, pipefail, -c]`")
    return (*words, "-c") if isinstance(found, str) and len(words) == 1 else words


def _network(value: Any, file: str, path: Path) -> str:
    return convert(value, Literal["none", "host"], file=file, path=path)  # type: ignore[arg-type]


def _overlap(value: Any, file: str, path: Path) -> str:
    return convert(value, Literal["error", "last-wins"], file=file, path=path)  # type: ignore[arg-type]


def _matrix(value: Any, file: str, path: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return convert_matrix(value, file=file, path=path)


def _timeout(value: Any, file: str, path: Path) -> float:
    return parsed(parse_duration, _text(value, file, path), SpecPath(file, path), DURATION_HINT)


def parsed(parse: Callable[[str], T], text: str, where: SpecPath, hint: str) -> T:
    """What `parse` makes of the text; its ValueError as a mistake at `where`."""
    try:
        return parse(text)
    except ValueError as error:
        raise mistake(str(error), where, hint) from None


def _mounts(value: Any, file: str, path: Path) -> tuple[Mount, ...]:
    entries = convert(value, tuple[Any, ...], file=file, path=path)
    return tuple(_mount(entry, file, (*path, index)) for index, entry in enumerate(entries))


def _mount(value: Any, file: str, path: Path) -> Mount:
    example = "for example `{bind: requirements.txt, to: /src/requirements.txt}`"
    if not isinstance(value, dict):
        raise mistake("a mount is a map", SpecPath(file, path), example)
    kinds = [key for key in value if key in MOUNTS]
    if len(kinds) > 1:
        where = SpecPath(file, (*path, kinds[1]), key=True)
        raise mistake(f"a mount is one thing, not {kinds[0]!r} and {kinds[1]!r}", where, "make two mounts of it")
    if not kinds:
        near = next((hint for key in value if (hint := suggest(key, MOUNTS))), "")
        raise mistake("a mount says one of bind, cache, tmpfs, secret, ssh", SpecPath(file, path), near or example)
    text = convert(value, MOUNTS[kinds[0]], file=file, path=path)
    return _finished(text, file, path)


def _finished(text: Any, file: str, path: Path) -> Mount:
    """The mount that a written form means."""
    match text:
        case BindText():
            return BindMount(text.bind, _absolute(text.to, file, (*path, "to")), text.from_, text.writable)
        case CacheText():
            if not text.cache:
                raise mistake("a cache needs an id", SpecPath(file, (*path, "cache")), "for example `cache: pip`")
            to = _absolute(text.to, file, (*path, "to"))
            mode = _mode(text.mode, file, path)
            cache = CacheMount(text.cache, to, text.sharing, mode, *_owner(text, file, path), read_only=text.read_only)
            return FilledCache(cache, text.from_, text.path) if text.from_ else cache
        case TmpfsText():
            return _tmpfs(text, file, path)
        case SshText():
            _check_id(text.ssh, "an agent's", file, (*path, "ssh"))
            to = _absolute(text.to, file, (*path, "to"))
            return AgentMount(text.ssh, to, _mode(text.mode, file, path), *_owner(text, file, path), text.required)
        case _:
            return _secret(text, file, path)


def _tmpfs(text: TmpfsText, file: str, path: Path) -> TmpfsMount:
    if text.tmpfs and text.to:
        raise mistake("`tmpfs` and `to` both say where", SpecPath(file, (*path, "to"), key=True), "leave one of them out")
    key = "to" if text.to else "tmpfs"
    to = _absolute(text.to or text.tmpfs or "", file, (*path, key))
    size = parsed(parse_size, text.size, SpecPath(file, (*path, "size")), SIZE_HINT) if text.size else 0
    return TmpfsMount(to, size)


def _secret(text: SecretText, file: str, path: Path) -> SecretMount:
    to = text.to or ("" if text.env else f"/run/secrets/{text.secret}")
    _check_secret(text.secret, file, (*path, "secret"))
    if text.to:
        _absolute(text.to, file, (*path, "to"))
    return SecretMount(text.secret, to, text.env, _mode(text.mode, file, path), *_owner(text, file, path), text.required)


def _secrets(value: Any, file: str, path: Path) -> tuple[SecretMount, ...]:
    return tuple(_secret_entries(convert(value, tuple[str | SecretEntryText, ...], file=file, path=path), file, path))


def _secret_entries(entries: tuple[str | SecretEntryText, ...], file: str, path: Path) -> Iterator[SecretMount]:
    for index, entry in enumerate(entries):
        where = (*path, index)
        if isinstance(entry, str):
            _check_secret(entry, file, where)
            yield SecretMount(entry, f"/run/secrets/{entry}")
            continue
        _check_secret(entry.id, file, (*where, "id"))
        to = _absolute(entry.to, file, (*where, "to")) if entry.to else "" if entry.env else f"/run/secrets/{entry.id}"
        yield SecretMount(entry.id, to, entry.env, required=entry.required)


def _check_secret(name: str, file: str, path: Path) -> None:
    _check_id(name, "a secret's", file, path)


def _check_id(name: str, whose: str, file: str, path: Path) -> None:
    if not NAME.fullmatch(name):
        raise mistake(f"{clipped(name)} is not {whose} id", SpecPath(file, path), "letters, digits, _ . + -")


def _absolute(text: str, file: str, path: Path) -> str:
    """A path in the image: absolute, below the root, without `..`."""
    where = SpecPath(file, path)
    if not text.startswith("/"):
        raise mistake(f"a mount's place is absolute, not {clipped(text)}", where, f"write /{text}" if text else "for example `to: /src`")
    parts = text.split("/")
    if ".." in parts or "\0" in text or not any(part not in ("", ".") for part in parts):
        raise mistake(f"{clipped(text)} cannot be a mount's place", where, "name a path below /, without `..`")
    return text


def _mode(text: str, file: str, path: Path) -> int:
    return parsed(parse_mode, text, SpecPath(file, (*path, "mode")), MODE_HINT)


def _owner(text: CacheText | SecretText | SshText, file: str, path: Path) -> tuple[int, int]:
    for name, value in (("uid", text.uid), ("gid", text.gid)):
        if not 0 <= value < (1 << 32) - 1:
            raise mistake(f"{value} is not a {name}", SpecPath(file, (*path, name)), "a number from 0")
    return text.uid, text.gid


_CONVERTERS: dict[str, Callable[[Any, str, Path], Any]] = {
    "from": _from,
    "env": _env,
    "user": _text,
    "workdir": _text,
    "shell": _shell,
    "mounts": _mounts,
    "secrets": _secrets,
    "network": _network,
    "tags": _list,
    "matrix": _matrix,
    "timeout": _timeout,
    "overlap": _overlap,
    "description": _text,
}
