"""`commit`, `diff`, `cp` and `export`: what a container wrote is taken out of it, or put into it."""

import os
import sys

from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.engine.containers.place import Place
from graphbuild.values.errors import EXIT_OK, mistake


def commit(place: Place, grammar: Grammar, options: Parsed) -> int:
    from graphbuild.engine.containers.commit import commit as commit_container
    from graphbuild.engine.library import full_name

    word, *name = options.words
    names = [full_name(text) for text in name]
    pause = not options.flag("no_pause") and options.values.get("pause") is not False
    assert place.identity
    with place.open() as opened:
        container = opened.shelf.find(word)
        folder = options.text("spec")
        if folder is not None:
            from graphbuild.engine.containers.spec import write_spec

            if name or options.text("message") or options.text("author"):
                raise wrong(grammar, "--spec writes a build.yaml and makes no image: it takes no name, message or author")
            sys.stdout.write(write_spec(place, opened, container, folder, options.texts("change"), pause=pause))
            return EXIT_OK
        image = commit_container(
            place,
            opened,
            container,
            names,
            message=options.text("message") or "",
            author=options.text("author") or "",
            changes=options.texts("change"),
            pause=pause,
        )
        print(image.id)
        opened.store.sweep()
    return EXIT_OK


def diff(place: Place, _grammar: Grammar, options: Parsed) -> int:
    from graphbuild.engine.containers.changed import list_changes

    assert place.identity
    with place.open() as opened:
        found = list_changes(opened, opened.shelf.find(options.words[0]))
    sys.stdout.flush()
    for change in found:
        sys.stdout.buffer.write(b"%s /%s\n" % (change.kind.encode(), change.path))
    return EXIT_OK


def export(place: Place, _grammar: Grammar, options: Parsed) -> int:
    from graphbuild.engine.containers.archive import export as export_container

    output = options.text("output")
    if output is None and sys.stdout.isatty():
        raise mistake("a tar does not go to a terminal", hint="use -o FILE, or redirect it")
    assert place.identity
    with place.open() as opened:
        container = opened.shelf.find(options.words[0])
        try:
            descriptor = 1 if output is None else os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise mistake(f"cannot write {output}: {error.strerror}") from None
        export_container(opened, container, descriptor)
    return EXIT_OK


def cp(place: Place, grammar: Grammar, options: Parsed) -> int:
    from graphbuild.engine.containers.copying import copy_in, copy_out

    source, target = options.words
    come, to = _place(source), _place(target)
    if (come is None) == (to is None):
        raise wrong(grammar, "one of both is in a container: CONTAINER:PATH")
    assert place.identity
    name, path = come or to or ("", "")
    with place.open() as opened:
        container = opened.shelf.find(name)
    if come is not None:
        copy_out(place, container, path, target, follow=options.flag("follow_link"))
    else:
        copy_in(place, container, source, path, follow=options.flag("follow_link"), archive=options.flag("archive"))
    return EXIT_OK


def _place(text: str) -> tuple[str, str] | None:
    """Container and path; None for a path here: `-`, or one that begins with / or ."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and name and not text.startswith(("/", ".")) else None
