"""`create`, `run`, `start` and `attach`: a container comes to be, and somebody looks on."""

import contextlib
import socket
import sys

from graphbuild.cli.containers.asking import asked
from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.engine.containers import pump, running, terminal
from graphbuild.engine.containers.creation import Asked, create
from graphbuild.engine.containers.model import OURS
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.removal import remove
from graphbuild.engine.containers.shelf import Container, failed, wait_dead
from graphbuild.values.errors import EXIT_OK, EXIT_USAGE, GraphbuildError, mistake

_KILLED = 137


def create_command(place: Place, grammar: Grammar, options: Parsed) -> int:
    print(_made(place, asked(grammar, options)).id)
    return EXIT_OK


def _made(place: Place, wanted: Asked) -> Container:
    assert place.identity
    with place.open() as opened:
        return create(opened, wanted)


def run_command(place: Place, grammar: Grammar, options: Parsed) -> int:
    """The container's exit code; 125 where graphbuild could not make it run."""
    wanted = asked(grammar, options)
    detached = options.flag("detach")
    if detached and options.texts("attach"):
        raise wrong(grammar, "--detach and --attach exclude each other")
    keys = terminal.parse_keys(options.text("detach_keys") or terminal.DETACH_KEYS)
    if wanted.tty and wanted.open_stdin and not detached:
        _need_terminal()
    try:
        container = _made(place, wanted)
        return _start_made(place, container) if detached else _run_attached(place, container, keys)
    except GraphbuildError as error:
        if error.exit_code in (EXIT_USAGE, 1):
            error.exit_code = OURS
        raise


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise mistake("the standard input is no terminal", hint="leave out -t")


def _start_made(place: Place, container: Container) -> int:
    _started(place, container, None)
    print(container.id)
    return EXIT_OK


def _started(place: Place, container: Container, client: socket.socket | None) -> None:
    try:
        running.start(place, container, client)
    except GraphbuildError:
        if container.spec.auto_remove:
            wait_dead(container.folder)
            with place.open() as opened:
                remove(opened.shelf, container, volumes=True)
                opened.store.sweep()
        raise


def _run_attached(place: Place, container: Container, keys: bytes) -> int:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _started(place, container, theirs)
        return _watch(container, ours, keys, stdin=container.spec.open_stdin, proxy=True)


def _watch(container: Container, client: socket.socket, keys: bytes, *, stdin: bool, proxy: bool) -> int:
    """Be a client until the end; the exit code of the container."""

    def send(number: int) -> None:
        with contextlib.suppress(GraphbuildError):  # it has just ended
            running.send(container, number)

    try:
        if proxy and not container.spec.tty:
            with pump.passing_on(send):
                code = pump.attach(client, stdin=stdin, tty=False, keys=keys)
        else:
            code = pump.attach(client, stdin=stdin, tty=container.spec.tty, keys=keys)
    except pump.Detached:
        sys.stderr.write("\r\n")
        return EXIT_OK
    wait_dead(container.folder)
    return _KILLED if code is None else code


def start_command(place: Place, grammar: Grammar, options: Parsed) -> int:
    attach, interactive = options.flag("attach"), options.flag("interactive")
    if (attach or interactive) and len(options.words) > 1:
        raise wrong(grammar, "one container can be attached to at once")
    keys = terminal.parse_keys(options.text("detach_keys") or terminal.DETACH_KEYS)
    assert place.identity
    code = EXIT_OK
    for word in options.words:
        try:
            with place.open() as opened:
                container = opened.shelf.find(word)
            if attach or interactive:
                return _start_attached(place, container, keys, stdin=interactive and container.spec.open_stdin)
            if container.look().status == "paused":
                raise failed(f"container {container.name} is paused", f"`graphbuild container unpause {container.name}` lets it go on")
            running.start(place, container)
            print(word, flush=True)
        except GraphbuildError as error:
            if len(options.words) == 1:
                raise
            _say(error)
            code = 1
    return code


def _start_attached(place: Place, container: Container, keys: bytes, *, stdin: bool) -> int:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            fresh = running.start(place, container, theirs)
        if fresh:
            return _watch(container, ours, keys, stdin=stdin, proxy=True)
    with running.connect(container) as client:
        return _watch(container, client, keys, stdin=stdin, proxy=True)


def attach_command(place: Place, _grammar: Grammar, options: Parsed) -> int:
    with place.open() as opened:
        container = opened.shelf.find(options.words[0])
    status = container.look().status
    if status == "paused":
        raise failed(f"container {container.name} is paused", f"`graphbuild container unpause {container.name}` lets it go on")
    keys = terminal.parse_keys(options.text("detach_keys") or terminal.DETACH_KEYS)
    stdin = container.spec.open_stdin and not options.flag("no_stdin")
    if container.spec.tty and stdin:
        _need_terminal()
    with running.connect(container) as client:
        return _watch(container, client, keys, stdin=stdin, proxy=options.values.get("sig_proxy") is not False)


def _say(error: GraphbuildError) -> None:
    from graphbuild.cli.main import show_problems

    show_problems(error)
