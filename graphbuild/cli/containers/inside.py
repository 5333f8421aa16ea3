"""`exec`: a process more in a container that runs. What it imports is what it takes, for it is started often."""

import os

from graphbuild.cli.containers.grammar import Grammar, Parsed
from graphbuild.engine.containers import enter, pump
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.shelf import failed, not_running
from graphbuild.values.errors import EXIT_OK, mistake


def exec_command(place: Place, _grammar: Grammar, options: Parsed) -> int:
    """The exit code of the command; 126 or 127 where it cannot be started."""
    word, *argv = options.words
    with place.open(only_look=True) as opened:
        container = opened.shelf.find(word)
    seen = container.look()
    if seen.status == "paused":
        raise failed(f"container {container.name} is paused", f"`graphbuild container unpause {container.name}` lets it go on")
    if not seen.running or seen.state is None:
        raise not_running(container)
    interactive, detached = options.flag("interactive"), options.flag("detach")
    tty = options.flag("tty") and not detached  # nobody would look at it
    if tty and interactive and not os.isatty(0):
        raise mistake("the standard input is no terminal", hint="leave out -t")
    spec = container.spec
    env = dict(spec.config.env)
    if options.texts("env") or options.texts("env_file"):
        from graphbuild.cli.containers.asking import variables

        env |= variables(options)[0]
    user, workdir = options.text("user"), options.text("workdir")
    request = enter.Request(
        tuple(argv),
        env,
        spec.config.user if user is None else user,
        workdir or spec.config.workdir or "/",
        spec.hostname,
        _every() if options.flag("privileged") else spec.capabilities,
        tty=tty,
        detached=detached,
    )
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if detached:
        enter.start(seen.state, request, [null])
        return EXIT_OK
    if tty:
        entered = enter.start(seen.state, request, [])
        return pump.run_entered(entered, {}, entered.master if interactive else -1)
    stdin, stdin_end = -1, null
    if interactive:
        stdin_end, stdin = os.pipe2(os.O_CLOEXEC)
    out, out_end = os.pipe2(os.O_CLOEXEC)
    error, error_end = os.pipe2(os.O_CLOEXEC)
    entered = enter.start(seen.state, request, [stdin_end, out_end, error_end])
    return pump.run_entered(entered, {out: 1, error: 2}, stdin)


def _every() -> int:
    from graphbuild.engine.containers.assemble import capabilities_held

    return capabilities_held()
