"""The workspace: its root, its graphbuild.yaml, its packages. Reads the file system, and never follows a link out of it."""

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from graphbuild.spec.attributes import DURATION_HINT, SIZE_HINT, convert_vars, convert_visibility, parsed
from graphbuild.spec.convert import convert
from graphbuild.spec.model import BUILD_FILE, MAX_BYTES, WORKSPACE_FILE
from graphbuild.spec.problem import suggest
from graphbuild.values.duration import parse_duration, parse_size
from graphbuild.values.errors import GraphbuildError, Place, Problem, SpecPath, clipped, mistake
from graphbuild.values.registry import RegistrySettings

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?|\[[0-9a-fA-F:]+\](:[0-9]+)?")
_MIRROR = re.compile(rf"({_HOST.pattern})(/[a-z0-9._/-]+)?")
_SKIPPED = frozenset(("node_modules", "__pycache__"))


class LimitsText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one step may use."""

    memory: Annotated[str, Meta(description='Memory: "2g".')] = ""
    processes: Annotated[int, Meta(description="Processes and threads at once.", ge=0)] = 0
    output: Annotated[str, Meta(description='Of its log, what is kept: "64m"; 0 means 16m.')] = ""
    timeout: Annotated[str | int, Meta(description='Time, where a target says none: "1h".')] = ""


class RegistryText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one registry is reached."""

    mirrors: Annotated[tuple[str, ...], Meta(description="Registries to pull from first, in order: host[:port][/prefix].")] = ()
    ca: Annotated[str, Meta(description="A file of further CAs, in PEM; from the workspace's root.")] = ""
    insecure: Annotated[bool, Meta(description="It speaks plain http.")] = False


class SettingsText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """graphbuild.yaml as it is written."""

    jobs: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="Steps at once; default: one a processor.")] = None
    store: Annotated[str | None, Meta(description="The store's folder.")] = None
    source_date_epoch: Annotated[int, Meta(description="The time of every file in every layer, in seconds.", ge=0, le=(1 << 33) - 1)] = 0
    plugins: Annotated[tuple[str, ...], Meta(description="The plugins to use; default: all that are installed.")] = ()
    network: Annotated[
        Literal["allow", "deny"],
        Meta(description="deny: no step may say `network: host`, and nothing may come from outside that no digest pins."),
    ] = "allow"
    network_allow: Annotated[tuple[str, ...], Meta(description="Targets that may, all the same.")] = ()
    compression: Annotated[Literal["gzip", "zstd", "none"], Meta(description="Of layers that are exported.")] = "gzip"
    vars: Annotated[dict[str, str | bool], Meta(description="Variables of every package.")] = {}
    limits: Annotated[LimitsText, Meta(description="What one step may use.")] = LimitsText()
    registries: Annotated[dict[str, RegistryText], Meta(description="How registries are reached, by host[:port].")] = {}
    ignore: Annotated[tuple[str, ...], Meta(description="Globs of folders that hold no packages.")] = ()
    visibility: Annotated[
        str | tuple[str, ...], Meta(description="Of targets that say none, in packages that say none: public, private, or packages.")
    ] = "private"


class Limits(msgspec.Struct, frozen=True):
    """What one step may use, in bytes, processes and seconds; 0 is no limit."""

    memory: int = 0
    processes: int = 0
    output: int = 0
    timeout: float = 0


class Settings(msgspec.Struct, frozen=True):
    """graphbuild.yaml. `plugins` empty: all that are found. `network_allow` exempts targets from `network: deny`."""

    jobs: int | None = None
    store: str | None = None
    source_date_epoch: int = 0
    plugins: tuple[str, ...] = ()
    network: Literal["allow", "deny"] = "allow"
    network_allow: tuple[str, ...] = ()
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    vars: dict[str, str] = {}
    limits: Limits = Limits()
    registries: dict[str, RegistrySettings] = {}
    ignore: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()


def find_workspace(start: Path) -> Path:
    """The topmost folder at or above `start` with a graphbuild.yaml or .git; `start` itself where there is none."""
    start = start.absolute()
    for folder in (*reversed(start.parents), start):
        if (folder / WORKSPACE_FILE).is_file() or (folder / ".git").exists():
            return folder
    return start


def load_settings(root: Path, parse: Callable[[bytes, str], Settings] | None = None) -> Settings:
    """The workspace's settings, or the defaults where it has no graphbuild.yaml. GraphbuildError holds every problem."""
    try:
        with (root / WORKSPACE_FILE).open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise mistake(f"cannot read it: {error.strerror}", Place(WORKSPACE_FILE, 1), "make it a readable file") from None
    if all(not line.strip() or line.lstrip().startswith(b"#") for line in text.split(b"\n")):
        return Settings()  # a file that only marks the root
    return (parse or parse_settings)(text, WORKSPACE_FILE)


def parse_settings(text: bytes, file: str) -> Settings:
    """Parse a graphbuild.yaml."""
    from graphbuild.spec.yaml import load

    data = load(text, file).data
    if data is None:
        return Settings()
    if not isinstance(data, dict):
        raise mistake("graphbuild.yaml must be a map of settings", SpecPath(file), "for example `jobs: 4`")
    types = {field.encode_name: field.type for field in msgspec.structs.fields(SettingsText)}
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in data.items():
        try:
            if name not in types:
                hint = suggest(name, types) or f"known are {', '.join(sorted(types))}"
                raise mistake(f"unknown setting {clipped(name)}", SpecPath(file, (name,), key=True), hint)
            if name == "vars":
                found[name] = convert_vars(value, file=file, path=(name,))
                continue
            converted = convert(value, types[name], file=file, path=(name,))
            found[name] = _converted(name, converted, file)
        except GraphbuildError as error:
            problems.extend(error.problems)
    if problems:
        raise GraphbuildError(*problems)
    return Settings(**found)


def _converted(name: str, value: Any, file: str) -> Any:
    match name:
        case "limits":
            return _limits(value, file)
        case "registries":
            return {host: _registry(host, text, file) for host, text in value.items()}
        case "visibility":
            return convert_visibility(value, file=file, path=(name,))
        case _:
            return value


def _registry(host: str, text: RegistryText, file: str) -> RegistrySettings:
    where = SpecPath(file, ("registries", host))
    if not _HOST.fullmatch(host):
        raise mistake(f"{clipped(host)} is not a registry's host[:port]", where, "for example docker.io, or registry.example:5000")
    for index, mirror in enumerate(text.mirrors):
        if not _MIRROR.fullmatch(mirror):
            place = SpecPath(file, ("registries", host, "mirrors", index))
            raise mistake(
                f"{clipped(mirror)} is not a registry's host[:port][/prefix]", place, "what is special about it goes under its name"
            )
    return RegistrySettings(text.mirrors, os.path.expanduser(text.ca), text.insecure)


def _limits(text: LimitsText, file: str) -> Limits:
    def read(name: str, value: str, parse: Any, hint: str) -> Any:
        return parsed(parse, value, SpecPath(file, ("limits", name)), hint) if value else 0

    return Limits(
        read("memory", text.memory, parse_size, SIZE_HINT),
        text.processes,
        read("output", text.output, parse_size, SIZE_HINT),
        read("timeout", str(text.timeout), parse_duration, DURATION_HINT),
    )


def find_packages(
    root: Path, under: str = "", ignore: Sequence[str] = (), visit: Callable[[str], object] = lambda _folder: None
) -> Iterator[str]:
    """The folders at and below `under` that hold a build.yaml, relative to the root, sorted part by part.

    Hidden folders, node_modules, links and what `ignore` matches are left out: a glob without a slash matches a folder's
    name, one with a slash its path from the root. `visit` hears of every folder that is looked into, before it is.
    GraphbuildError for a folder that cannot be read.
    """

    def look(folder: str) -> tuple[bool, Iterable[str]]:
        visit(folder)
        return _scan(root, folder)

    return walk_packages(look, under, ignore)


def walk_packages(look: Callable[[str], tuple[bool, Iterable[str]]], under: str, ignore: Sequence[str]) -> Iterator[str]:
    """The same where the files are elsewhere: `look` says of a folder whether it has a build.yaml, and which folders are in it."""
    ignored = _matcher(ignore)
    waiting = [under.strip("/")]
    while waiting:
        folder = waiting.pop()
        has_spec, names = look(folder)
        children = [name for name in names if name[0] != "." and name not in _SKIPPED]
        if has_spec:
            yield folder
        paths = (f"{folder}/{name}" if folder else name for name in sorted(children, reverse=True))
        waiting.extend(path for path in paths if not ignored(path))


def _scan(root: Path, folder: str) -> tuple[bool, list[str]]:
    """Whether a folder is a package, and the names of the folders in it that may be."""
    has_spec = False
    children = []
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = entry.name
                if name == BUILD_FILE:
                    has_spec = entry.is_file()
                elif entry.is_dir(follow_symlinks=False):
                    children.append(name)
    except FileNotFoundError:  # removed while we walk, or `under` is nothing
        return False, []
    except OSError as error:
        raise mistake(f"cannot read the folder {folder or '.'!r}: {error.strerror}", hint="fix it, or add it to `ignore`") from None
    return has_spec, children


def _matcher(patterns: Sequence[str]) -> Any:
    """Whether a path from the root is ignored."""
    names = [fnmatch.translate(pattern.strip("/")) for pattern in patterns if "/" not in pattern.strip("/")]
    paths = [fnmatch.translate(pattern.strip("/")) for pattern in patterns if "/" in pattern.strip("/")]
    by_name, by_path = re.compile("|".join(names) or r"(?!)"), re.compile("|".join(paths) or r"(?!)")
    return lambda path: by_name.match(path.rpartition("/")[2]) or by_path.match(path)
