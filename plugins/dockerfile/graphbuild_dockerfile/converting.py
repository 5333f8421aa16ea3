"""`graphbuild convert DOCKERFILE`: a Dockerfile as a build.yaml that a person would be glad to own."""

import os
import posixpath
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from graphbuild.rules import Config, Folder, GraphbuildError, Host, Place, Ref, mistake
from graphbuild_dockerfile.conversion import Layout, Package, convert
from graphbuild_dockerfile.environment import PROXIES
from graphbuild_dockerfile.evaluation import Evaluation, Given, evaluate, missing_images
from graphbuild_dockerfile.pieces import Data
from graphbuild_dockerfile.program import Program, parse
from graphbuild_dockerfile.spelling import package_text
from graphbuild_dockerfile.symbols import Differs, Symbols, arguments, chosen, mark, merged, variables

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def declare(parser: "ArgumentParser") -> None:
    add = parser.add_argument
    add("dockerfile", metavar="DOCKERFILE", help="the Dockerfile, or the folder that has it")
    add("-o", "--output", metavar="FILE", default="", help="where to write the build.yaml (default: stdout, as if it stood in the context)")
    add("--context", metavar="DIR", default="", help="the folder that COPY and ADD take from (default: the Dockerfile's)")
    add("--target", metavar="STAGE", default="", help="the stage that becomes the image (default: the last)")
    add("--build-arg", metavar="NAME[=VALUE]", action="append", default=[], help="the value of an ARG; without one, the environment's")
    add("--build-context", metavar="NAME=PLACE", action="append", default=[], help="what FROM NAME and --from=NAME stand for")
    add("--label", metavar="NAME=VALUE", action="append", default=[], help="a label for the image")
    add("--platform", metavar="OS/ARCH", default="", help="the platform that it is for")
    add("--keep", action="store_true", help="leave a stage that does not convert to the Dockerfile")


class _Places:
    """Paths of the command line as the package's."""

    def __init__(self, host: Host, package: str) -> None:
        self._host = host
        self.package = self.from_root(package)

    def from_root(self, path: str) -> str:
        """From the workspace's root; "" for the root itself. GraphbuildError for what is outside."""
        inside = self._host.path(os.path.join(path, "x"))
        if os.path.isabs(inside):
            raise mistake(f"{path or '.'} is not in the workspace", hint="a build.yaml names files of its workspace")
        return posixpath.dirname(inside)

    def of(self, path: str) -> str:
        """A folder from the package; from the workspace's root, with `//`, where it leads out of it."""
        return self.seen(self.from_root(path))

    def file(self, path: str) -> str:
        """The same of a file."""
        return self.seen(posixpath.join(self.from_root(os.path.dirname(path) or "."), os.path.basename(path)))

    def seen(self, found: str) -> str:
        """A path from the workspace's root as one of the package."""
        if found == self.package:
            return "."
        prefix = f"{self.package}/" if self.package else ""
        return found.removeprefix(prefix) if found.startswith(prefix) else f"//{found}"


def run(host: Host, options: "Namespace") -> int:
    """Convert; returns the exit code."""
    file = options.dockerfile
    file = os.path.join(file, "Dockerfile") if os.path.isdir(file) else file
    try:
        with open(file, "rb") as opened:
            text = opened.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise mistake(f"cannot read {file}: {error.strerror}") from None
    context = options.context or os.path.dirname(file) or "."
    if not os.path.isdir(context):
        raise mistake(f"the context {context!r} is not a folder")
    output = "" if options.output == "-" else options.output
    places = _Places(host, os.path.dirname(output) if output else context)
    source = _Source(text, file, context, places, host, options)
    package, head, found = source.converted()
    if package.problems and not options.keep:
        raise GraphbuildError(*package.problems)
    for problem in package.problems:
        line = problem.place.line if isinstance(problem.place, Place) else 1
        print(f"{file}:{line}: {problem.message}; its stage is left to the Dockerfile", file=sys.stderr)
    sections: dict[str, Mapping[str, Any]] = {"vars": found, "bases": package.bases, "steps": package.steps, "outputs": package.outputs}
    written = package_text(head, sections, package.comments)
    _write(written, output, host)
    return 0


def _write(text: str, output: str, host: Host) -> None:
    if "\0" in text or (not text.isascii() and text != text.encode(errors="replace").decode()):
        raise mistake("the Dockerfile has text that is not UTF-8, which no build.yaml can hold")
    if not output:
        host.say(text.removesuffix("\n"))
        return
    try:
        with open(output, "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise mistake(f"{output} is there already", hint="remove it, or say another place") from None
    except OSError as error:
        raise mistake(f"cannot write {output}: {error.strerror}") from None


class _Source:
    """A Dockerfile and what it is given."""

    def __init__(self, text: str, file: str, context: str, places: _Places, host: Host, options: "Namespace") -> None:
        from graphbuild_dockerfile.command import add_context, arguments_of, pair

        self.labels = dict(pair(text, "--label") for text in options.label)
        self.program: Program = parse(text, file)
        self.text = text
        self.file, self.context, self.places, self.host = file, context, places, host
        self.args, _ = arguments_of(options.build_arg)
        contexts: dict[str, str] = {}
        bases: dict[str, dict[str, Any]] = {}
        for each in options.build_context:
            if not _add_label(each, contexts):
                add_context(each, host, contexts, bases)
        self.given, self.layout = self._surroundings(options, contexts, bases)
        self.target = self._target(options.target)

    def _surroundings(self, options: "Namespace", contexts: Mapping[str, str], bases: Mapping[str, Data]) -> tuple[Given, Layout]:
        folder = Folder(self.places.from_root(self.context))
        folders = {folder.path: self.places.of(self.context)}
        ignores = {folder.path: self._ignore()}
        configs: dict[str, Config] = {}
        named: dict[str, Folder] = {}
        targets: dict[str, Data] = {}
        for name, value in contexts.items():
            if value.startswith(":") and value[1:] in bases:
                base = bases[value[1:]]
                configs[name] = self.host.config({"bases": {value[1:]: base}}, f"//{value}")
                targets[name] = self._base(base)
            elif value.startswith((":", "//")):
                configs[name] = self.host.config({}, value)
                targets[name] = {"label": value}
            else:
                place = next(text.partition("=")[2] for text in options.build_context if text.partition("=")[0] == name)
                named[name] = Folder(self.places.from_root(place))
                folders[named[name].path] = self.places.of(place)
                ignored = os.path.join(place, ".dockerignore")
                ignores[named[name].path] = self.places.file(ignored) if os.path.isfile(ignored) else ""
        given = Given(folder, configs, named, platform=self.host.platform, wanted=options.platform, target=options.target)
        for name in missing_images(self.program, given, self.args):
            targets[name] = _to_do(name)
        own = ("build.lock", posixpath.basename(options.output) or "build.yaml") if folders[folder.path] == "." else ()
        return given, Layout(folders, ignores, targets, own=own)

    def _ignore(self) -> str:
        """The ignore file of the context, from the package; "" for none."""
        paths = (f"{self.file}.dockerignore", os.path.join(self.context, ".dockerignore"))
        return next((self.places.file(path) for path in paths if os.path.isfile(path)), "")

    def _base(self, base: Data) -> Data:
        """A base of the command line with a path that a build.yaml may say."""
        ((rule, value),) = base.items()
        path = str(value["path"])
        if os.path.isabs(path):
            raise mistake(f"{path} is not in the workspace", hint="a build.yaml names files of its workspace: move it there")
        said = {"path": self.places.seen(path)} | {key: text for key, text in value.items() if key != "path" and text}
        return {rule: said if len(said) > 1 else said["path"]}

    def _target(self, wanted: str) -> int:
        stages = self.program.stages
        if not wanted:
            return len(stages) - 1
        found = [stage.index for stage in stages if stage.name == wanted.lower() or str(stage.index) == wanted]
        if not found:
            names = ", ".join(stage.name for stage in stages if stage.name)
            raise mistake(f'target stage "{wanted}" could not be found', hint=f"stages: {names}" if names else "")
        return found[-1]

    def evaluated(self, args: Mapping[str, str]) -> Evaluation:
        """Every stage; that of the image with the labels of the command line."""
        found = evaluate(self.program, self.given, args)
        stages = list(found.stages)
        config = stages[self.target].config
        labels = tuple(sorted({**dict(config.labels), **self.labels}.items()))
        stages[self.target] = msgspec.structs.replace(stages[self.target], config=msgspec.structs.replace(config, labels=labels))
        return msgspec.structs.replace(found, stages=tuple(stages))

    def converted(self) -> tuple[Package, list[str], dict[str, str]]:
        """The package, the lines at its beginning and its variables."""
        concrete = self.evaluated(self.args)
        failed = concrete.stages[self.target].error
        if failed is not None:
            raise failed
        package = self._package(concrete, {})
        kept = {index: self._kept(index) for index in package.unconverted}
        problems = package.problems
        if kept:
            package = self._package(concrete, kept)
            package.problems = problems
        symbols = arguments(self.program, concrete, self.given.platform)
        candidates = [name for name in symbols.values if name not in PROXIES]

        def attempt(names: frozenset[str]) -> Package:
            evaluation = self.evaluated({**self.args, **{name: mark(name) for name in names}}) if names else concrete
            if any((one.error is None) != (other.error is None) for one, other in zip(concrete.stages, evaluation.stages, strict=True)):
                raise Differs
            other = self._package(evaluation, kept, package.named) if names else package
            parts = {
                section: merged(getattr(package, section), getattr(other, section), symbols) for section in ("bases", "steps", "outputs")
            }
            return msgspec.structs.replace(package, **parts)

        wanted, made = chosen(candidates, attempt)
        found = variables(symbols, wanted, lambda name: self._default(name, wanted))
        head = self._head(concrete, symbols, wanted)
        for section, name in [key for key in made.comments if key[0] == "vars" and key[1] not in found]:
            head += [f"# ARG {name}:", *made.comments[section, name]]
        if made.chosen:
            head.append(f"# TODO: a wildcard takes {', '.join(made.chosen)} too, which were not there: add them to .dockerignore.")
        self._add_last_comments(made)
        return made, head, found

    def _add_last_comments(self, made: Package) -> None:
        """What stands below the last instruction."""
        end = max(each.node.end_line for stage in self.program.stages for each in (stage.start, *stage.instructions))
        lines = [line.strip() for line in self.text.split("\n")[end:] if line.strip().startswith("#")]
        if lines and made.outputs:
            made.comments.setdefault(("outputs", list(made.outputs)[-1]), []).extend(lines)

    def _package(self, evaluation: Evaluation, kept: Mapping[int, Data], named: Mapping[Ref, str] = {}) -> Package:
        return convert(self.program, evaluation, self.given, self.layout, target=self.target, kept=kept, named=named)

    def _default(self, name: str, wanted: frozenset[str]) -> str:
        """An argument's value, with marks of the other arguments."""
        others = {other: mark(other) for other in wanted if other != name}
        evaluation = self.evaluated({**self.args, **others})
        for result in evaluation.stages:
            if (value := result.args.get(name)) is not None:
                return str(value)
        return str(evaluation.globals.get(name, ""))

    def _kept(self, index: int) -> Data:
        """A stage as a step of the rule `dockerfile`."""
        stage = self.program.stages[index]
        context = self.layout.folders[self.given.folder.path]
        file = posixpath.join(self.places.from_root(os.path.dirname(self.file) or "."), os.path.basename(self.file))
        data: Data = {"context": context, "file": f"//{file}"}
        data["target"] = stage.name or str(index)
        data |= {"args": dict(self.args)} if self.args else {}
        return {"dockerfile": data}

    def _head(self, evaluation: Evaluation, symbols: Symbols, wanted: frozenset[str]) -> list[str]:
        first = self.program.arguments[0] if self.program.arguments else self.program.stages[0].start
        above = [line.strip() for line in first.node.comments]
        lines = [*above, *(["#"] if above else []), f"# Converted from {os.path.basename(self.file)} by `graphbuild convert`."]
        for result in evaluation.stages:
            if result.error is not None:
                name = result.stage.name or str(result.stage.index)
                lines.append(f"# Stage {name} is left out, for it cannot be built: {result.error.problems[0].message}".replace("\n", " "))
        fixed = [*symbols.written, *(name for name in symbols.values if name not in wanted and name not in PROXIES)]
        if fixed:
            lines.append(f"# Written out where they are used: ARG {', '.join(fixed)}.")
        proxies = [name for name in self.args if name.upper() in PROXIES and name not in symbols.written and name not in symbols.values]
        if proxies:
            lines.append(f"# Proxies are those of whoever builds: {', '.join(proxies)} is not written down.")
        if symbols.unset:
            lines.append(f"# Without a value, and seen by no step: ARG {', '.join(symbols.unset)}.")
        return lines


def _add_label(text: str, contexts: dict[str, str]) -> bool:
    """Whether a named context is a target of the workspace: //package:name."""
    name, _, place = text.partition("=")
    if not place.startswith("//") or os.path.exists(place):
        return False
    contexts[name] = place
    return True


def _to_do(name: str) -> Data:
    """The base for an image that is not at hand."""
    return {
        "image": name,
        "todo": [
            f"# TODO: {name} was not looked at. It is taken to have the usual PATH and no other variables, no user and no triggers.",
        ],
    }
