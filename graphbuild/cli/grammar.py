"""What every command of ours may be told. Each is declared by a function of its own, for a process needs one of them only."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

from graphbuild.rules.commands import Command

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no name for it

_IMAGES_EXAMPLES = """\
graphbuild images
         graphbuild images --containing 'libssl3<3.0.15'
         graphbuild images //svc/... --containing python:flask --with-file '/usr/bin/perl*' --format json"""

_LOCK_EXAMPLES = """\
graphbuild lock
         graphbuild lock --update debian:libssl3 --dry-run
         graphbuild lock --update docker.io/library/alpine:3.20
         graphbuild lock --update --dry-run --format json"""

_LABELS = "labels and patterns: //web:app, :app, //web:all, //svc/..., -//x:y (default: the outputs of this package)"


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that keeps examples as they are, in a column wide enough for our options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def _build(commands: Commands) -> None:
    _run(commands, "run", "build targets", "graphbuild run :web --events build.jsonl")


def _plan(commands: Commands) -> None:
    _run(commands, "plan", "say what `run` would do, and why", "graphbuild plan //...")


def _check(commands: Commands) -> None:
    check = _add(commands, "check", "check every build.yaml, and build nothing", "graphbuild check //svc/...")
    check.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    _targets(check)


def _explain(commands: Commands) -> None:
    explain = _add(commands, "explain", "say why the last run built a target, or did not", "graphbuild explain :web")
    explain.add_argument("labels", nargs="+", metavar="LABEL", help="targets")
    _targets(explain)


def _graph(commands: Commands) -> None:
    graph = _add(commands, "graph", "draw the graph of targets", "graphbuild graph //... --format dot | dot -Tsvg > graph.svg")
    graph.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    graph.add_argument("--format", choices=("dot", "mermaid", "text", "html"), default="text", help="default: text")
    _targets(graph)


def _container(commands: Commands) -> None:
    _add(commands, "container", "make, run and commit containers, by Docker's commands", "graphbuild container run --rm -it debian bash")


def _image(commands: Commands) -> None:
    from graphbuild.cli import image_grammar

    image_grammar.declare(commands, _add, _project)


def _schema(commands: Commands) -> None:
    schema = _add(commands, "schema", "print the JSON Schema of build.yaml, for editors", "graphbuild schema > build.schema.json")
    schema.add_argument("--settings", action="store_true", help="that of graphbuild.yaml instead")
    _project(schema)


def _completion(commands: Commands) -> None:
    completion = _add(commands, "completion", "print a completion script", "source <(graphbuild completion bash)")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))


def _add(commands: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: {example}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )


def _project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="the store (default: $GRAPHBUILD_STORE, or ~/.cache/graphbuild)")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="set a variable; may be repeated")
    parser.add_argument("-C", "--directory", metavar="DIR", help="act as if started in DIR")


def _targets(parser: argparse.ArgumentParser) -> None:
    """The options of commands that look at configured targets."""
    _project(parser)
    _platforms(parser)


def _platforms(parser: argparse.ArgumentParser) -> None:
    help_ = "what outputs are built for, os/arch[/variant]; several with commas (default: what they say, or this machine's)"
    parser.add_argument("--platform", metavar="PLATFORM", dest="platforms", action="append", default=[], help=help_)


def _run(commands: Commands, name: str, text: str, example: str) -> None:
    run = _add(commands, name, text, example)
    run.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    run.add_argument(
        "--no-cache",
        metavar="LABEL",
        nargs="?",
        const="",
        action="append",
        help="build again, though the result is known (one target: =LABEL)",
    )
    run.add_argument("-o", "--output", metavar="DIR", help="write outputs below DIR instead of their packages")
    _narrowing(run)
    _building(run)
    _platforms(run)


def _watch(commands: Commands) -> None:
    text = "build targets, and build again what each save of a file touches"
    watch = _add(commands, "watch", text, "graphbuild watch :web --exec 'docker load -q -i dist/web.tar'")
    watch.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    watch.add_argument("--exec", metavar="COMMAND", help="run a shell command after each good build; one that still runs is ended first")
    watch.set_defaults(no_cache=None, output=None, repeats=True)
    _building(watch)
    _platforms(watch)


def _test(commands: Commands) -> None:
    test = _add(commands, "test", "run tests, those that have not passed yet", "graphbuild test //... --tags -slow --junit report.xml")
    test.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS.replace("outputs", "tests"))
    test.add_argument(
        "--no-cache",
        metavar="LABEL",
        nargs="?",
        const="",
        action="append",
        help="run tests again, though they passed (one target, also of a step: =LABEL)",
    )
    test.add_argument("--junit", metavar="FILE", help="write a report as JUnit XML to FILE")
    _narrowing(test)
    test.set_defaults(output=None)
    _building(test)


def _narrowing(parser: argparse.ArgumentParser) -> None:
    """Which of the targets that are named are meant."""
    parser.add_argument("--affected-since", metavar="REV", help="only targets that are not what they were at that git revision")
    parser.add_argument("--tags", metavar="TAG,-TAG", help="only targets that have one of these tags, and none of those with a - in front")


def _push(commands: Commands) -> None:
    push = _add(commands, "push", "build images, and push them to the registries that their tags name", "graphbuild push //svc/...")
    push.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    push.add_argument("-t", "--tag", metavar="REF", action="append", help="push as REF, not as its own tags say; may be repeated")
    push.set_defaults(no_cache=None)
    _building(push)
    _platforms(push)


def _load(commands: Commands) -> None:
    load = _add(commands, "load", "build images, and load them into an engine that runs them", "graphbuild load :web --into podman")
    load.add_argument("labels", nargs="*", metavar="LABEL", help=_LABELS)
    load.add_argument("--into", choices=("docker", "podman", "containerd"), help="default: the first of these that is there")
    load.add_argument("--namespace", metavar="NAME", help="of containerd (default: $CONTAINERD_NAMESPACE, or default)")
    load.set_defaults(no_cache=None)
    _building(load)
    _platforms(load)


def _building(run: argparse.ArgumentParser) -> None:
    """What may be said of every build."""
    run.add_argument("-j", "--jobs", type=_positive, metavar="N", help="steps at once (default: one a processor)")
    run.add_argument("-k", "--keep-going", action="store_true", help="after a failure, build what does not depend on it")
    run.add_argument("-n", "--dry-run", action="store_true", help="say what would run, and why; the same as `plan`")
    run.add_argument("--secret", metavar="id=ID,src=FILE|env=NAME", action="append", default=[], help="give a secret to steps")
    run.add_argument("--ssh", metavar="ID[=SOCKET]", action="append", default=[], help="give an ssh agent to steps that mount it")
    run.add_argument("--progress", choices=("auto", "tty", "plain", "quiet"), default="auto", help="how to show progress (default: auto)")
    run.add_argument("--events", metavar="FILE", help="write a line of JSON an event to FILE (- for stdout)")
    run.add_argument("--profile", metavar="FILE", help="write a trace for chrome://tracing or Perfetto to FILE")
    run.add_argument(
        "--report",
        metavar="KIND=FILE",
        action="append",
        default=[],
        help="write a report of kind markdown, json, codequality or github to FILE (- for stdout); may be repeated",
    )
    run.add_argument("--offline", action="store_true", help="fetch nothing: use what the store has")
    run.add_argument("--locked", action="store_true", help="fail where build.lock lacks something, instead of resolving it")
    _project(run)


def declare_plugin(commands: Commands, command: Command) -> None:
    """The parser of a plugin's command."""
    parser = _add(commands, command.name, command.doc, command.example)
    command.declare(parser)
    parser.set_defaults(no_cache=None)
    if command.builds:
        parser.add_argument("--explain", action="store_true", help="say why the last run built what it did, and build nothing")
        _building(parser)
    else:
        _project(parser)


def _query(commands: Commands) -> None:
    query = _add(
        commands, "query", "say which targets an expression names", "graphbuild query 'rdeps(//..., //bases:python) ^ kind(image, //...)'"
    )
    query.add_argument(
        "expression", metavar="EXPRESSION", help="Bazel's language: deps rdeps allpaths somepath some kind attr filter set let + - ^"
    )
    query.add_argument("--output", choices=("label", "json", "dot", "mermaid", "html", "text"), default="label", help="default: label")
    _targets(query)


def _affected(commands: Commands) -> None:
    text = "say which targets are not what they were at a git revision"
    affected = _add(commands, "affected", text, 'graphbuild affected --since "$(git merge-base main HEAD)" --outputs')
    affected.add_argument("labels", nargs="*", metavar="LABEL", help="only of these (default: all of the workspace)")
    affected.add_argument("--since", metavar="REV", required=True, help="a commit, a branch, a tag")
    affected.add_argument("--outputs", action="store_true", help="outputs only")
    affected.add_argument("--json", action="store_true", help="as JSON, with what is gone")
    _targets(affected)


def _diff(commands: Commands) -> None:
    text = "build two git revisions and say which images differ, and by what"
    diff = _add(commands, "diff", text, "graphbuild diff main --format markdown > report.md")
    diff.add_argument("revisions", metavar="REV[..[REV]]", help="REV: against the working tree; REV..: against HEAD; REV..REV")
    diff.add_argument("labels", nargs="*", metavar="LABEL", help="images (default: all of the workspace)")
    diff.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="default: text")
    diff.set_defaults(no_cache=None, delivers=False)
    _building(diff)
    _platforms(diff)


def _ci(commands: Commands) -> None:
    ci = _add(commands, "ci", "begin with a CI service", "graphbuild ci init github -o .github/workflows/images.yml")
    actions = ci.add_subparsers(dest="action", metavar="ACTION", required=True)
    example = "graphbuild ci init gitlab -o .gitlab-ci.yml"
    init = _add(actions, "init", "print a workflow that builds, compares and pushes, with a cache", example)
    init.add_argument("service", choices=("github", "gitlab"))
    init.add_argument("-o", "--output", metavar="FILE", help="write it to FILE instead; what is there stays")
    init.add_argument("--force", action="store_true", help="write over what is there")
    init.add_argument("-C", "--directory", metavar="DIR", help="act as if started in DIR")


def _lock(commands: Commands) -> None:
    lock = _add(commands, "lock", "resolve what comes from outside, and pin it in build.lock", _LOCK_EXAMPLES)
    lock.add_argument("labels", nargs="*", metavar="LABEL", help="targets (default: all of the workspace)")
    lock.add_argument(
        "--update",
        metavar="NAME",
        nargs="*",
        help="resolve again what is locked already: all, or a RULE, RULE:PACKAGE, image reference, URL or label",
    )
    lock.add_argument("-n", "--dry-run", action="store_true", help="say what would change, and which images with it; write nothing")
    lock.add_argument(
        "-v", "--verbose", action="store_true", help="name every output that would change, and all that is locked for the first time"
    )
    lock.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _targets(lock)


def _shell(commands: Commands) -> None:
    text = "open a shell in a target's files, or in the state in which its last run failed"
    shell = _add(commands, "shell", text, "graphbuild shell :deps -- ls -l /venv")
    shell.add_argument("label", metavar="LABEL")
    shell.add_argument("words", nargs="*", metavar="WORD", help="a command to run instead of a shell, after --")
    shell.add_argument("--before", action="store_true", help="the files as the step finds them, not as it leaves them")
    shell.add_argument("-u", "--user", help="as this user (default: the target's)")
    shell.add_argument("--network", choices=("none", "host"), help="default: the target's")
    _targets(shell)


def _images(commands: Commands) -> None:
    text = "list the workspace's images as they were built last, or those that hold a package or a file"
    images = _add(commands, "images", text, _IMAGES_EXAMPLES)
    images.add_argument("labels", nargs="*", metavar="PATTERN", help="targets (default: //..., all of the workspace)")
    images.add_argument(
        "--containing",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="NAME, or NAME with < <= = >= > != and a version; deb:, python: or apk: before it says whose; repeated: all of them",
    )
    images.add_argument(
        "--with-file", metavar="PATH", action="append", default=[], help="an absolute path, or a glob of paths; repeated: all of them"
    )
    images.add_argument("--format", choices=("table", "json"), default="table", help="default: table")
    _project(images)


def _cache(commands: Commands) -> None:
    cache = _add(commands, "cache", "look after the store", "graphbuild cache gc --max-size 20g --keep 14d")
    actions = cache.add_subparsers(dest="action", metavar="ACTION", required=True)
    stats = _add(actions, "stats", "say what the store holds", "graphbuild cache stats")
    verify = _add(actions, "verify", "recompute every digest and name all that differ", "graphbuild cache verify --repair")
    verify.add_argument("--repair", action="store_true", help="drop what is damaged, so that it is built again")
    gc = _add(actions, "gc", "remove what was not used for longest", "graphbuild cache gc --max-size 20g")
    gc.add_argument("--max-size", metavar="SIZE", help="until the store is no larger: 500m, 20g")
    gc.add_argument("--keep", metavar="TIME", help="what was not used for so long: 14d, 12h")
    gc.add_argument("-n", "--dry-run", action="store_true", help="say what would go, and remove nothing")
    where = _add(actions, "dir", "print where the store is", "graphbuild cache dir")
    for action in (stats, verify, gc, where):
        _project(action)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, at least 1")
    return int(text)


GRAMMAR: dict[str, Callable[[Commands], None]] = {
    "run": _build,
    "test": _test,
    "plan": _plan,
    "watch": _watch,
    "push": _push,
    "load": _load,
    "check": _check,
    "explain": _explain,
    "query": _query,
    "affected": _affected,
    "diff": _diff,
    "graph": _graph,
    "ci": _ci,
    "lock": _lock,
    "shell": _shell,
    "container": _container,
    "cache": _cache,
    "images": _images,
    "image": _image,
    "schema": _schema,
    "completion": _completion,
}
