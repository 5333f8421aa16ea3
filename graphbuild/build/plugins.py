"""Finding plugins: installed packages by their entry point, and the workspace's own `plugins/` folder.

A workspace plugin is `plugins/NAME.py`, `plugins/NAME/__init__.py`, or `plugins/NAME/graphbuild_NAME/`, a package that
could be installed as it is. An installed plugin wins over one of the same name in the workspace. What is installed is
remembered as long as the folders that Python imports from are unchanged, and found without `importlib.metadata`: 15 ms to import.
"""

import importlib
import importlib.util
import marshal
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from graphbuild.values.errors import GraphbuildError, Problem, mistake

GROUP = "graphbuild.plugins"
FOLDER = "plugins"


class Plugin(msgspec.Struct, frozen=True):
    """What a plugin exports, unchecked: `rules` and `commands`."""

    name: str
    rules: Any
    commands: Any


def find_plugins(root: Path, cache: Path | None, wanted: Sequence[str]) -> list[Plugin]:
    """Every plugin, sorted by name; only `wanted` ones where that is not empty. GraphbuildError blames a broken one."""
    installed = dict(_installed(cache))
    local = {name: path for name, path in _local(root) if name not in installed}
    names = sorted({*installed, *local})
    missing = [name for name in wanted if name not in names]
    if missing:
        hint = f"installed or in {FOLDER}/: {', '.join(names) or 'none'}"
        raise mistake(f"graphbuild.yaml wants the plugin {missing[0]!r}, which is not here", hint=hint)
    chosen = [name for name in names if not wanted or name in wanted]
    return [_plugin(name, installed.get(name), local.get(name)) for name in chosen]


def _plugin(name: str, module: str | None, path: Path | None) -> Plugin:
    try:
        loaded = importlib.import_module(module) if module else _load(name, path)
    except GraphbuildError:
        raise
    except (Exception, SystemExit) as error:
        where = module or path
        raise GraphbuildError(Problem(f"plugin {name!r} ({where}) cannot be imported: {type(error).__name__}: {error}")) from error
    rules = getattr(loaded, "RULES", None)
    if rules is None:
        raise mistake(f"plugin {name!r} exports no RULES", hint="docs/plugins.md says what a plugin exports")
    return Plugin(name, rules, getattr(loaded, "COMMANDS", ()))


def _load(name: str, path: Path | None) -> ModuleType:
    """Import a workspace plugin, and nothing beside it."""
    if path is None:
        raise mistake(f"plugin {name!r} is gone")
    if path.name == f"graphbuild_{name}":
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        return importlib.import_module(path.name)
    module_name = f"_graphbuild_workspace_{name}"
    file = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(module_name, file, submodule_search_locations=[str(path)] if path.is_dir() else None)
    if spec is None or spec.loader is None:
        raise mistake(f"plugin {name!r} ({file}) is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def _local(root: Path) -> Iterable[tuple[str, Path]]:
    folder = root / FOLDER
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = folder / name
        if name.endswith(".py") and name.removesuffix(".py").isidentifier() and not name.startswith("_"):
            yield name.removesuffix(".py"), path
        elif (path / f"graphbuild_{name}" / "__init__.py").is_file():
            yield name, path / f"graphbuild_{name}"
        elif (path / "src" / f"graphbuild_{name}" / "__init__.py").is_file():
            yield name, path / "src" / f"graphbuild_{name}"
        elif (path / "__init__.py").is_file():
            yield name, path


def _installed(cache: Path | None) -> list[tuple[str, str]]:
    """(name, module) of every entry point of the group, from the cache where sys.path is unchanged."""
    state = [(path, _changed(path)) for path in sys.path if path.endswith("-packages")]
    found: list[tuple[str, str]]
    try:
        known_state, found = marshal.loads(cache.read_bytes() if cache else b"")
        if known_state == state:
            return found
    except (OSError, ValueError, EOFError, TypeError):
        pass
    found = sorted({name: module for path in reversed(sys.path) for name, module in _entry_points(path or os.curdir)}.items())
    if cache is None:
        return found
    temporary = cache.with_suffix(f".{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(marshal.dumps((state, found)))
        temporary.rename(cache)
    except OSError:
        temporary.unlink(missing_ok=True)
    return found


def _entry_points(folder: str) -> Iterable[tuple[str, str]]:
    """(name, module) of the group's entry points in a folder of packages: https://packaging.python.org/specifications/entry-points."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                text = Path(folder, name, "entry_points.txt").read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if GROUP in text:
                yield from parse_entry_points(text)


def parse_entry_points(text: str) -> Iterable[tuple[str, str]]:
    """(name, module) of the group's entry points in the text of an entry_points.txt."""
    ours = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            ours = line == f"[{GROUP}]"
        elif ours and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].partition(":")[0].strip()


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
