"""What is done to containers that are there: stop, kill, pause, unpause, wait, restart, rename, rm, prune."""

import time
from collections.abc import Callable

from graphbuild.cli.asking import make_sure
from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.engine.containers import running
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.removal import remove
from graphbuild.engine.containers.shelf import Container, failed, not_running, wait_dead
from graphbuild.engine.quantities import parse_signal
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, GraphbuildError, mistake


def _each(place: Place, words: list[str], act: Callable[[Container], object], *, shown: bool = True) -> int:
    """Do it to each; what fails for one is said, and the others have their turn."""
    code = EXIT_OK
    for word in words:
        try:
            with place.open() as opened:
                container = opened.shelf.find(word)
            act(container)
            if shown:
                print(word, flush=True)
        except GraphbuildError as error:
            if len(words) == 1:
                raise
            from graphbuild.cli.main import show_problems

            show_problems(error)
            code = EXIT_FAILED
    return code


def _seconds(grammar: Grammar, options: Parsed) -> float | None:
    text = options.text("time")
    try:
        return None if text is None else float(int(text))
    except ValueError:
        raise wrong(grammar, f"--time is a number of seconds, not {text!r}") from None


def _not_paused(container: Container) -> None:
    if container.look().status == "paused":
        raise failed(f"container {container.name} is paused", f"`graphbuild container unpause {container.name}` lets it go on")


def stop(place: Place, grammar: Grammar, options: Parsed) -> int:
    seconds = _seconds(grammar, options)

    def act(container: Container) -> None:
        _not_paused(container)
        running.stop(container, seconds)

    return _each(place, options.words, act)


def restart(place: Place, grammar: Grammar, options: Parsed) -> int:
    seconds = _seconds(grammar, options)

    def end(container: Container) -> None:
        _not_paused(container)
        running.stop(container, seconds)

    def act(container: Container) -> None:
        running.start(place, container)

    # An ordinary user has power over the processes of all as long as no namespace is entered.
    return _each(place, options.words, end, shown=False) or _each(place, options.words, act)


def kill(place: Place, _grammar: Grammar, options: Parsed) -> int:
    try:
        number = parse_signal(options.text("signal") or "KILL")
    except ValueError as error:
        raise mistake(str(error)) from None

    def act(container: Container) -> None:
        if not container.look().running:
            raise not_running(container)
        _not_paused(container)
        running.send(container, number)

    return _each(place, options.words, act)


def pause(place: Place, _grammar: Grammar, options: Parsed) -> int:
    def act(container: Container) -> None:
        if container.look().status == "paused":
            raise failed(f"container {container.name} is paused already")
        running.pause(container)

    return _each(place, options.words, act)


def unpause(place: Place, _grammar: Grammar, options: Parsed) -> int:
    def act(container: Container) -> None:
        if container.look().status == "running":
            raise failed(f"container {container.name} is not paused")
        running.unpause(container)

    return _each(place, options.words, act)


def wait(place: Place, _grammar: Grammar, options: Parsed) -> int:
    def act(container: Container) -> None:
        wait_dead(container.folder)
        state = container.look().state
        print(state.exit_code if state is not None else 0, flush=True)

    return _each(place, options.words, act, shown=False)


def rename(place: Place, _grammar: Grammar, options: Parsed) -> int:
    with place.open() as opened:
        opened.shelf.rename(opened.shelf.find(options.words[0]), options.words[1])
    return EXIT_OK


def rm(place: Place, _grammar: Grammar, options: Parsed) -> int:
    words = options.words
    if options.flag("force"):  # before a namespace is entered, see `restart`
        code = _each(place, words, running.kill, shown=False)
        if code:
            words = [word for word in words if _is_there(place, word)]
    else:
        code = EXIT_OK
    assert place.identity  # what containers wrote belongs to ids that only the mapping may remove

    def act(container: Container) -> None:
        with place.open() as opened:
            remove(opened.shelf, container, volumes=options.flag("volumes"))

    try:
        return _each(place, words, act) or code
    finally:
        with place.open() as opened:
            opened.store.sweep()


def _is_there(place: Place, word: str) -> bool:
    with place.open() as opened:
        try:
            return bool(opened.shelf.find(word))
        except GraphbuildError:
            return False


def prune(place: Place, _grammar: Grammar, options: Parsed) -> int:
    wanted = [text.partition("=") for text in options.texts("filter")]
    for name, _, _ in wanted:
        if name not in ("label", "until"):
            raise mistake(f"--filter {name} is not known here", hint="label=NAME[=VALUE] or until=TIME")
    if not options.flag("force"):
        make_sure("all containers that do not run")
    assert place.identity
    with place.open() as opened:
        opened.shelf.sweep()
        for container in opened.shelf.all():
            if not container.look().running and _matches(container, wanted):
                try:
                    remove(opened.shelf, container, volumes=False)
                except GraphbuildError:
                    continue  # somebody has just started it
                print(container.id)
        opened.store.sweep()
    return EXIT_OK


def _matches(container: Container, wanted: list[tuple[str, str, str]]) -> bool:
    from graphbuild.cli.containers.times import parse_time

    labels = dict(container.spec.config.labels)
    for name, _, value in wanted:
        if name == "until" and container.spec.created > parse_time(value, time.time_ns()):
            return False
        if name == "label":
            label, equals, text = value.partition("=")
            if label not in labels or (equals and labels[label] != text):
                return False
    return True
