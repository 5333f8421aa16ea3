"""`ps`, `inspect` and `top`: what is there, and how it fares."""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.cli.containers.times import stamp
from graphbuild.cli.listing import ago, say, show, table
from graphbuild.cli.templates import fill, unescaped
from graphbuild.engine.containers import running
from graphbuild.engine.containers.describe import describe
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.shelf import Container, Seen, Shelf
from graphbuild.store.caches import disk_usage
from graphbuild.ui.text import size as sized
from graphbuild.values.errors import EXIT_OK, GraphbuildError, mistake

_SECOND = 10**9
_FILTERS = ("name", "id", "status", "label", "ancestor", "exited", "health", "volume")
_HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}


def ps(place: Place, grammar: Grammar, options: Parsed) -> int:
    with place.open() as opened:
        found = [(container, container.look()) for container in _chosen(opened.shelf, grammar, options)]
    if options.flag("quiet") and options.text("format") is None:
        _write("".join(f"{container.id if options.flag('no_trunc') else container.id[:12]}\n" for container, _ in found))
        return EXIT_OK
    rows = [_row(container, seen, options) for container, seen in found]
    columns = [*_HEADINGS, *(["Size"] if options.flag("size") else [])]
    show(options.text("format") or "", [_HEADINGS.get(column, column.upper()) for column in columns], rows, columns)
    return EXIT_OK


def _write(text: str) -> None:
    sys.stdout.write(text)


def _chosen(shelf: Shelf, grammar: Grammar, options: Parsed) -> list[Container]:
    wanted = []
    for text in options.texts("filter"):
        name, equals, value = text.partition("=")
        if not equals or name not in _FILTERS:
            raise mistake(f"--filter {text!r} is not known", hint=f"NAME=VALUE with one of {', '.join(_FILTERS)}")
        wanted.append((name, value))
    last = 1 if options.flag("latest") else None
    if text_last := options.text("last"):
        try:
            last = int(text_last)
        except ValueError:
            raise wrong(grammar, f"--last is a number, not {text_last!r}") from None
    every = options.flag("all") or last is not None or any(name in ("status", "exited") for name, _ in wanted)
    found = []
    for container in shelf.all():
        seen = container.look()
        if (every or seen.running) and _matches(container, seen, wanted):
            found.append(container)
    return found if last is None or last < 0 else found[:last]


def _matches(container: Container, seen: Seen, wanted: list[tuple[str, str]]) -> bool:
    """Filters of one name add up, those of different names narrow down; labels always narrow down."""
    by_name: dict[str, list[bool]] = {}
    for name, value in wanted:
        held = _matches_one(container, seen, name, value)
        if name == "label" and not held:
            return False
        by_name.setdefault(name, []).append(held)
    return all(any(each) for each in by_name.values())


def _matches_one(container: Container, seen: Seen, name: str, value: str) -> bool:  # noqa: PLR0911 - one a filter
    spec, state = container.spec, seen.state
    match name:
        case "name":
            return value.strip("^/$") in container.name
        case "id":
            return container.id.startswith(value)
        case "status":
            return seen.status == value
        case "label":
            label, equals, text = value.partition("=")
            labels = dict(spec.config.labels)
            return label in labels and (not equals or labels[label] == text)
        case "ancestor":
            return value in (spec.image_name, spec.image_name.partition(":")[0]) or spec.image.id.hex.startswith(
                value.removeprefix("sha256:")
            )
        case "exited":
            return seen.status == "exited" and state is not None and str(state.exit_code) == value
        case "health":
            return (state.health.status if state and state.health and seen.running else "none") == value
        case _:
            return any(value in (mount.source, mount.to) for mount in spec.mounts)


def _row(container: Container, seen: Seen, options: Parsed) -> dict[str, str]:
    spec = container.spec
    whole = options.flag("no_trunc")
    command = " ".join(spec.argv)
    age = ago((time.time_ns() - spec.created) / _SECOND)
    row = {
        "ID": container.id if whole else container.id[:12],
        "Image": spec.image_name,
        "Command": json.dumps(command if whole or len(command) <= 20 else command[:19] + "…", ensure_ascii=False),
        "CreatedAt": stamp(spec.created),
        "RunningFor": f"{age} ago",
        "Status": status_text(seen),
        "State": seen.status,
        "Ports": "",
        "Names": container.name,
        "Labels": ",".join(f"{name}={value}" for name, value in spec.config.labels),
        "Mounts": ",".join(mount.source for mount in spec.mounts if mount.source),
        "Networks": spec.network,
    }
    if options.flag("size") or "{{.Size}}" in (options.text("format") or ""):
        row["Size"] = sized(disk_usage(container.folder / "upper"))
    return row


def status_text(seen: Seen) -> str:
    """As Docker says it: `Up 3 seconds (healthy)`, `Exited (0) 2 minutes ago`."""
    state, now = seen.state, time.time_ns()
    if state is None or seen.status == "created":
        return "Created"
    if seen.status == "exited":
        return f"Exited ({state.exit_code}) {ago((now - state.finished) / _SECOND)} ago"
    up = f"Up {ago((now - state.started) / _SECOND)}"
    if seen.status == "paused":
        return f"{up} (Paused)"
    if state.health is not None:
        return f"{up} ({'health: starting' if state.health.status == 'starting' else state.health.status})"
    return up


def inspect(place: Place, _grammar: Grammar, options: Parsed) -> int:
    template = options.text("format")
    found: list[dict[str, Any]] = []
    missing: GraphbuildError | None = None
    with place.open() as opened:
        for word in options.words:
            try:
                container = opened.shelf.find(word)
            except GraphbuildError as error:
                missing = missing or error
                continue
            said = describe(container, container.look(), opened.store.root, stamp)
            if options.flag("size"):
                said["SizeRw"] = disk_usage(container.folder / "upper")
            found.append(said)
    if template is None or template == "json":
        _write(json.dumps(found, indent=4 if template is None else None, ensure_ascii=False) + "\n")
    else:
        for said in found:
            say(fill(unescaped(template), said))
    if missing is not None:
        sys.stdout.flush()
        raise missing
    return EXIT_OK


def top(place: Place, _grammar: Grammar, options: Parsed) -> int:
    with place.open() as opened:
        container = opened.shelf.find(options.words[0])
    rows = [["UID", "PID", "PPID", "STIME", "TIME", "CMD"]]
    for pid in running.processes(container):
        with contextlib.suppress(OSError):
            rows.append(_process(pid))
    _write(table(rows[0], rows[1:]))
    return EXIT_OK


def _process(pid: int) -> list[str]:
    folder = Path("/proc") / str(pid)
    fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    words = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    import os

    ticks = os.sysconf("SC_CLK_TCK")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    started = time.strftime("%H:%M", time.localtime(boot + int(fields[19]) / ticks))
    seconds = (int(fields[11]) + int(fields[12])) // ticks
    used = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    name = words or f"[{(folder / 'comm').read_text(errors='replace').strip()}]"
    return [str(folder.stat().st_uid), str(pid), fields[1], started, used, name]
