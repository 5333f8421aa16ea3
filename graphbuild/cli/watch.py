"""`graphbuild watch`: builds, then waits for changes of what the build looked at, and builds again.

This process imports and waits; it reads nothing of the workspace, and each build is a process of its own (`cli.rebuild`). What is
worth a build is for `build.watching` to say.
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from graphbuild.build.certificate import code_files
from graphbuild.build.project import find_site
from graphbuild.build.watching import Watching, shown
from graphbuild.cli.rebuild import Answer, Rebuild
from graphbuild.ui.progress import is_terminal
from graphbuild.ui.text import clean, duration
from graphbuild.values.errors import EXIT_INTERRUPTED, EXIT_OK, lacking

_STEP = 20  # milliseconds without a change that end a burst
_BURST = 500  # milliseconds after which a burst that does not end is built all the same
_TICK = 250  # milliseconds between two looks at what no notification tells
_PATIENCE = 0.5  # seconds that a command has to end when it is told to


def watch(options: Namespace) -> int:
    """Build, and build again, until interrupted."""
    if importlib.util.find_spec("watchfiles") is None:
        raise lacking("`graphbuild watch` needs the package watchfiles", "pip install 'graphbuild[watch]'")
    moved = options.directory is not None
    options.command, options.directory = "run", None
    with _interruptible():
        return _Watch(options, moved=moved).run()


class _Watch:
    """The loop. It ends by an exception: of a signal, or of what cannot be mended by an edit."""

    def __init__(self, options: Namespace, *, moved: bool) -> None:
        """`moved`: whether the command line says where to be (-C)."""
        site = find_site(Path.cwd(), options.store)
        self._options = options
        self._root = os.fsencode(site.root)
        self._watching = Watching(self._root, os.fsencode(site.store))
        self._after = Command(options.exec)
        self._said_so = False
        self._broken = False  # how the last build ended
        self._code = _stats(code_files())
        self._moved = moved

    def run(self) -> int:
        try:
            self._build(set(), first=True)
            while True:
                self._wait_and_build()
        finally:
            self._after.end()

    def _wait_and_build(self) -> None:
        """Until there are folders that were not watched before."""
        folders = set(self._watching.folders)
        begins = True
        for paths in _changes(folders):
            changed = {path for path in paths if self._watching.matters(path)}
            if begins:  # what changed before the notifier was there
                begins = False
                changed.update(self._watching.stale())
                self._ready()
            if changed:
                self._build(changed, first=False)
                if not self._watching.folders <= folders:
                    return
            self._after.look()

    def _ready(self) -> None:
        if not self._said_so:
            self._said_so = True
            sys.stderr.write("watching for changes; Ctrl-C ends it\n")
            sys.stderr.flush()

    def _build(self, changed: set[bytes], *, first: bool) -> None:
        begun = time.monotonic()
        if _stats(self._code) != self._code:
            self._after.end()
            _begin_anew(self._moved)
        self._watching.notice(changed)
        running = Rebuild(self._options, first=first)
        try:
            answer = running.wait()
        except KeyboardInterrupt:
            running.stop()
            raise
        if answer.code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        self._watching.learn(answer.watched, answer.outputs, everything=answer.everything)
        self._code = _stats(code_files()) | self._code  # what it imported, we have now
        if not first:
            sys.stderr.write(_line(answer, shown(changed, self._root), time.monotonic() - begun, broken=self._broken))
            sys.stderr.flush()
        elif self._options.progress == "auto" and not is_terminal(sys.stderr, os.environ):
            self._options.progress = "quiet"
        self._broken = answer.code != EXIT_OK
        if answer.code == EXIT_OK and (first or (answer.counts and answer.counts[0])):
            self._after.start()


def _line(answer: Answer, changed: str, seconds: float, *, broken: bool) -> str:
    """What a rebuild did, in one line; "" where it found nothing to do, and the one before was not broken."""
    counts = ", ".join(
        f"{count} {name}" for count, name in zip(answer.counts, ("built", "cached", "failed", "skipped"), strict=False) if count
    )
    if answer.code != EXIT_OK:
        return f"{clean(changed)}: failed in {duration(seconds)}: {counts or 'nothing was built'}; waiting for changes\n"
    done = answer.counts and answer.counts[0]
    return f"{clean(changed)}: ok in {duration(seconds)}: {counts or 'nothing to do'}\n" if done or broken else ""


def _begin_anew(moved: bool) -> NoReturn:
    """Become the same command line, by the code that is there now."""
    ours = sys.argv[1:]
    end = ours.index("--") if "--" in ours else len(ours)
    here = ["-C", "."] if moved else []  # the last one counts: we have gone where the first says
    python = sys.orig_argv[1 : len(sys.orig_argv) - len(ours)]
    os.execv(sys.executable, [sys.executable, *python, *ours[:end], *here, *ours[end:]])


def _stats(files: Iterable[str]) -> dict[str, tuple[int, int]]:
    """What tells that a file of our code is another one."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError):
            status = os.stat(file)
            found[file] = status.st_mtime_ns, status.st_ino
    return found


def _changes(folders: set[bytes]) -> Iterator[set[bytes]]:
    """The paths right in these folders that changed, a burst at once, and none from time to time; ends where it must begin anew.

    GraphbuildError where the kernel refuses.
    """
    from watchfiles import watch as notify
    from watchfiles._rust_notify import WatchfilesRustInternalError

    places = [text for folder in sorted(folders) if (text := _utf8(folder)) and os.path.isdir(folder)]
    try:
        for changes in notify(
            *places,
            watch_filter=None,
            debounce=_BURST,
            step=_STEP,
            rust_timeout=_TICK,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            yield {os.fsencode(path) for _, path in changes}
    except FileNotFoundError:  # a folder that is gone: the caller begins again with those that are there
        return
    except (OSError, WatchfilesRustInternalError) as error:
        if "decode path" in str(error):  # a name that is no UTF-8 changed: the caller begins again, and looks for itself
            return
        raise lacking(f"cannot watch {len(places)} folders: {error}", "sysctl -w fs.inotify.max_user_watches=524288") from None


def _utf8(path: bytes) -> str:
    """The path as the notifier takes it; "" for one that it cannot take."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return ""


class Command:
    """The shell command of `--exec`; at most one runs. It is not waited for before its end: so long its process group's number is nobody else's."""

    def __init__(self, text: str | None) -> None:
        self._text = text
        self._running: subprocess.Popen[bytes] | None = None
        self._said = False

    def start(self) -> None:
        """End the one that still runs, and start it anew."""
        if self._text is None:
            return
        self.end()
        self._running, self._said = subprocess.Popen(["/bin/sh", "-c", self._text], stdin=subprocess.DEVNULL, start_new_session=True), False

    def look(self) -> None:
        """Say how it ended, if it did, and not well."""
        if self._running is None or self._said:
            return
        ended = os.waitid(os.P_PID, self._running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            self._said = True
            if ended.si_status:
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                sys.stderr.write(f"{clean(self._text or '')}: exit code {code}\n")

    def end(self) -> None:
        """End it, and all that it left running in its process group."""
        running, self._running = self._running, None
        if running is None:
            return
        until = time.monotonic() + _PATIENCE
        _signal_group(running.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(_PATIENCE)
        while time.monotonic() < until and _signal_group(running.pid, 0):
            time.sleep(_STEP / 1000)
        _signal_group(running.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(_PATIENCE)


def _signal_group(leader: int, number: int) -> bool:
    """Send it to all of a process group; whether there is anybody."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end it as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signals = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
