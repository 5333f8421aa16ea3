"""`graphbuild dockerfile CONTEXT`: the command line of `docker build` as targets."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbuild.rules import Command, Host, mistake

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from graphbuild_dockerfile.program import Program

_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")
_FORMATS = {
    "oci": ("image", "oci"),
    "oci-archive": ("image", "archive"),
    "docker": ("image", "docker"),
    "dir": ("files", "dir"),
    "tar": ("files", "tar"),
}
_TYPES = {"local": "dir"}


def declare(parser: "ArgumentParser") -> None:
    add = parser.add_argument
    add("context", metavar="CONTEXT", nargs="?", default=".", help="the folder that COPY and ADD take from (default: this one)")
    add("-f", "--file", metavar="FILE", help="the Dockerfile (default: CONTEXT/Dockerfile)")
    add("--target", metavar="STAGE", default="", help="the stage to build (default: the last)")
    add("--build-arg", metavar="NAME[=VALUE]", action="append", default=[], help="the value of an ARG; without one, the environment's")
    add("--build-context", metavar="NAME=PLACE", action="append", default=[], help="what FROM NAME and --from=NAME stand for")
    add("--label", metavar="NAME=VALUE", action="append", default=[], help="a label for the image")
    add("-t", "--tag", metavar="NAME", action="append", default=[], help="a name for the image")
    add("-o", "--output", dest="to", metavar="FORMAT:PATH", action="append", default=[], help="oci:DIR, docker:FILE, tar:FILE or dir:DIR")
    add("--pull", action="store_true", help="ask registries for what FROM names, though the store has it")
    add("--platform", metavar="OS/ARCH", default="", help="the platform to build for")
    add("--network", choices=("default", "host", "none"), default="default", help="of each RUN that does not say one (default: host)")
    add("--check", action="store_true", help="check the Dockerfile, and build nothing")
    add("--print-graph", action="store_true", help="print the stages as a graph (Mermaid), and build nothing")
    add("--no-cache", dest="no_cache", action="append_const", const="", help="build again, though results are known")


def run(host: Host, options: "Namespace") -> int:
    """Build it; returns the exit code."""
    from graphbuild_dockerfile.bases import parse_platform

    folder = options.context
    if not os.path.isdir(folder):
        raise mistake(f"the context {folder!r} is not a folder", hint="URLs and archives are not supported: fetch and unpack them first")
    name = _NAME.sub("-", os.path.basename(os.path.abspath(folder))) or "context"
    contexts: dict[str, str] = {}
    bases: dict[str, dict[str, Any]] = {}
    for text in options.build_context:
        add_context(text, host, contexts, bases)
    if options.platform and parse_platform(options.platform) is None:
        raise mistake(f"--platform {options.platform!r} is no platform", hint="os/arch or os/arch/variant, for example linux/arm64")
    arguments, repeatable = arguments_of(options.build_arg)
    attributes = {
        "context": host.path(folder),
        "file": _file(options),
        "target": options.target,
        "args": arguments,
        "contexts": contexts,
        "labels": dict(pair(text, "--label") for text in options.label),
        "network": "none" if options.network == "none" else "host",
        "platform": options.platform,
    }
    targets: dict[str, dict[str, Any]] = {"bases": bases, "steps": {name: {"dockerfile": attributes}}, "outputs": {}}
    if options.print_graph:
        return _print_graph(attributes["file"], host)
    if options.check:
        return _check(options, attributes["file"], arguments, host)
    outputs = _outputs(options, name, host)
    targets["outputs"] = outputs
    return host.build(targets, [f"//:{label}" for label in outputs or (name,)], repeatable=repeatable)


def _file(options: "Namespace") -> str:
    """The Dockerfile, absolute."""
    path = options.file or os.path.join(options.context, "Dockerfile")
    if not os.path.isfile(path):
        raise mistake(f"failed to read dockerfile: no such file: {path}", hint="say which with -f FILE")
    return os.path.abspath(path)


def _print_graph(file: str, host: Host) -> int:
    from graphbuild_dockerfile.drawing import draw

    host.say(draw(_program(file)))
    return 0


def _program(file: str) -> "Program":
    from graphbuild_dockerfile.program import parse

    with open(file, encoding="utf-8", errors="replace", newline="") as opened:
        return parse(opened.read(), file)


def _check(options: "Namespace", file: str, arguments: Mapping[str, str], host: Host) -> int:
    """Say what the checks find; 1 if anything. The images it stands on are not looked at."""
    from graphbuild_dockerfile.environment import predefined
    from graphbuild_dockerfile.ignoring import ignore_files, ignores, patterns_of
    from graphbuild_dockerfile.lint import lint

    program = _program(file)
    text = next((Path(name).read_bytes() for name in ignore_files(file, options.context) if os.path.isfile(name)), b"")
    found = lint(
        program,
        predefined=predefined(program, host.platform, options.platform, options.target),
        arguments=arguments,
        ignored=ignores(patterns_of(text)),
    )
    for each in found:
        host.say(f"{file}:{each.line}: {each.name}: {each.message}\n  {each.url}")
    host.say(f"Check complete, {len(found) or 'no'} warning{'s' * (len(found) != 1)} {'has' if len(found) == 1 else 'have'} been found.")
    return 1 if found else 0


def pair(text: str, flag: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise mistake(f"{flag} {text!r} is not NAME=VALUE")
    return name, value


def arguments_of(texts: Sequence[str]) -> tuple[dict[str, str], bool]:
    """The build arguments; whether none came from the environment."""
    found: dict[str, str] = {}
    repeatable = True
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise mistake(f"--build-arg {text!r} is not NAME=VALUE")
        if equals:
            found[name] = value
        else:
            repeatable = False
            if name in os.environ:
                found[name] = os.environ[name]
    return found, repeatable


def add_context(text: str, host: Host, contexts: dict[str, str], bases: dict[str, dict[str, Any]]) -> None:
    """A named context: a folder as it is; an image or a tar as a base of its own."""
    from graphbuild_dockerfile.remotes import is_repository

    name, equals, place = text.partition("=")
    if not name or not equals or not place:
        raise mistake(f"--build-context {text!r} is not NAME=PLACE", hint="for example base=oci-layout://DIR:TAG")
    if is_repository(place):
        contexts[name] = place
        return
    scheme, found, rest = place.partition("://")
    if not found:
        if not os.path.isdir(place):
            raise mistake(f"--build-context {name}: no such folder: {place}")
        contexts[name] = host.path(place)
        return
    base = _base(name, scheme, rest, host)
    label = f"context-{len(bases)}"
    bases[label] = base
    contexts[name] = f":{label}"


def _base(name: str, scheme: str, rest: str, host: Host) -> dict[str, Any]:
    match scheme:
        case "oci-layout" | "oci-archive" | "docker-archive":
            path, reference = _reference(rest)
            return {"oci": {"path": host.path(path), "reference": reference}}
        case "tar":
            return {"tar": {"path": host.path(rest)}}
        case "docker-image":
            return {"image": {"reference": rest}}
    raise mistake(
        f"--build-context {name}: {scheme}:// is not supported",
        hint="a folder, docker-image://, oci-layout://, oci-archive://, docker-archive:// or tar://",
    )


def _reference(rest: str) -> tuple[str, str]:
    """A path and the tag or digest after it, where the path as a whole is none."""
    if os.path.exists(rest):
        return rest, ""
    path, at, digest = rest.partition("@")
    if at and os.path.exists(path.partition(":")[0] if not os.path.exists(path) else path):
        return (path if os.path.exists(path) else path.partition(":")[0]), digest
    path, _, tag = rest.rpartition(":")
    if not path or not os.path.exists(path):
        raise mistake(f"no such image: {rest}")
    return path, tag


def _outputs(options: "Namespace", name: str, host: Host) -> dict[str, dict[str, Any]]:
    """The outputs that `-o` asks for: one image for all formats of images, and files."""
    image: dict[str, str] = {}
    files: dict[str, str] = {}
    for text in options.to:
        format_, path = _destination(text)
        if format_ not in _FORMATS:
            raise mistake(f"-o {text}: unknown format {format_!r}", hint=f"one of {', '.join(_FORMATS)}, as FORMAT:PATH")
        if not path or path == "-":
            raise mistake(f"-o {text}: it needs a path", hint=f"for example -o {format_}:dist/{name}")
        rule, key = _FORMATS[format_]
        (image if rule == "image" else files)[key] = host.path(path)
    outputs: dict[str, dict[str, Any]] = {}
    if image or options.tag:
        outputs[f"{name}.image"] = {"from": [name], "image": {"tags": list(options.tag), "to": image}}
    if files:
        outputs[f"{name}.files"] = {"from": [name], "files": {"to": files}}
    return outputs


def _destination(text: str) -> tuple[str, str]:
    """FORMAT:PATH, or Docker's type=FORMAT,dest=PATH."""
    if "=" in text.partition(":")[0]:
        fields = dict(field.partition("=")[::2] for field in text.split(","))
        kind = fields.get("type", "")
        return _TYPES.get(kind, kind), fields.get("dest", "")
    format_, colon, path = text.partition(":")
    return (format_, path) if colon else ("dir", text)


def _convert_options(parser: "ArgumentParser") -> None:
    from graphbuild_dockerfile.converting import declare as declare_convert

    declare_convert(parser)


def _convert(host: Host, options: "Namespace") -> int:
    from graphbuild_dockerfile.converting import run as convert

    return convert(host, options)


COMMANDS = (
    Command(
        "dockerfile",
        "build a Dockerfile",
        "graphbuild dockerfile . -t app:latest -o docker:app.tar",
        declare,
        run,
    ),
    Command(
        "convert",
        "write a Dockerfile as a build.yaml",
        "graphbuild convert Dockerfile -o build.yaml",
        _convert_options,
        _convert,
        builds=False,
    ),
)
