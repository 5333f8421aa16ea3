"""`graphbuild images`: the images of the workspace's outputs as the store has them, and which of them hold a package or a file."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from graphbuild.build.glob import path_matcher
from graphbuild.build.recorded import RecordedImage, last_image, recorded
from graphbuild.cli.build import new_world
from graphbuild.cli.listing import table
from graphbuild.cli.session import Session, report, session
from graphbuild.engine.versions import parse_requirement
from graphbuild.engine.where import Held, PathPattern, Search
from graphbuild.graph.analyze import Graph
from graphbuild.graph.configure import Configured, configure_all
from graphbuild.layers.cancel import never
from graphbuild.rules.refs import Ref
from graphbuild.sandbox.namespace import Identity, enter
from graphbuild.store.forms import Forms
from graphbuild.ui.text import clean, size
from graphbuild.values.errors import EXIT_OK, GraphbuildError, Problem, mistake
from graphbuild.values.label import Label

_SHOWN = 20  # things of one image that the table names


class Found(msgspec.Struct, frozen=True):
    """An image, with what it holds of what was asked for."""

    image: RecordedImage
    held: tuple[Held, ...] = ()


def images(options: Any) -> int:
    """List, or search. Returns the exit code: 0, also where nothing is found."""
    search = _search(options)
    options.offline, options.delivers = True, False
    identity = enter()  # files of other owners are read
    with session(options, report) as opened:
        labels = _each_platform(opened, _labels(opened, options.labels))
        known, missing = _recorded(opened, labels, identity, options)
        opened.project.saved()
        if not known and not missing:
            raise mistake(
                "no image among these targets", hint="an image is an output of the rule `image`; `graphbuild image ls` lists the store's"
            )
        found = [Found(image) for image in known]
        if search is not None:
            forms = Forms(opened.store, opened.project.settings.source_date_epoch, identity.ids)
            found = [Found(image, tuple(held)) for image in known if (held := _held(search, forms, image))]
        if options.format == "json":
            sys.stdout.write(json.dumps(_plain(found, missing), indent=2) + "\n")
        elif found:
            sys.stdout.write(_listed(found) if search is None else _places(found))
    _remarks(found, known, missing, searched=search is not None)
    return EXIT_OK


def _labels(opened: Session, patterns: Sequence[str]) -> list[Label]:
    try:
        return opened.selected(patterns or ["//..."])
    except GraphbuildError as error:
        raise GraphbuildError(*map(_hinted, error.problems), exit_code=error.exit_code) from None


def _each_platform(opened: Session, labels: Sequence[Label]) -> list[Label]:
    """The images of an index, one a platform, in its place: they hold the files."""
    configured = configure_all(opened.project.workspace, labels)
    parts = ([part for _, part in configured[label].parts] or [label] for label in labels)
    return list(dict.fromkeys(label for one in parts for label in one))


def _hinted(problem: Problem) -> Problem:
    """What is wrong with a pattern, for who types this by habit and means Docker's images."""
    dockers = "`graphbuild image ls` lists the images of the store"
    return problem if problem.place else msgspec.structs.replace(problem, hint="; ".join(filter(None, (problem.hint, dockers))))


def _search(options: Any) -> Search | None:
    requirements = [parse_requirement(text) for text in options.containing]
    patterns = [_pattern(text) for text in options.with_file]
    return Search(requirements, patterns, lambda text: report(clean(text))) if requirements or patterns else None


def _pattern(text: str) -> PathPattern:
    if not text.startswith("/") or not text.strip("/"):
        raise mistake(f"--with-file {text!r} is no path of an image", hint=f"paths are absolute: /{text.strip('/') or 'usr/bin/perl'}")
    return PathPattern(text, path_matcher(text))


def _recorded(opened: Session, labels: Sequence[Label], identity: Identity, options: Any) -> tuple[list[RecordedImage], list[Label]]:
    """The images that the store has, and those that it has not. Of targets that have no graph only the last build can be known."""
    workspace = str(opened.project.root)
    configured = configure_all(opened.project.workspace, labels)
    unlocked = opened.unlocked(configured)
    known = [label for label in labels if label not in unlocked]
    graph = _graph(opened, known)
    with new_world(opened, graph, identity, {}, options, never) as world:
        found, missing = recorded(graph, world, workspace, graph.selected)
    every = [one for label in labels for one in _images_of(configured[label])]
    for label in every:
        if label in graph.targets:
            continue
        last = last_image(opened.store, workspace, Ref(label, "image"))
        if last is None:
            missing.append(label)
        else:
            found.append(RecordedImage(label, (), last[0], current=False, makers=last[1]))
    order = {label: number for number, label in enumerate(every)}
    return sorted(found, key=lambda image: order[image.label]), sorted(missing, key=order.__getitem__)


def _graph(opened: Session, labels: Sequence[Label]) -> Graph:
    """The graph of the targets that can be analysed without a network: a Dockerfile may want to know an image that is not here."""
    try:
        return opened.analyze(labels)
    except GraphbuildError:
        able = []
        for label in labels:
            try:
                opened.analyze([label])
            except GraphbuildError as error:
                report(clean(f"{label} cannot be looked at: {error.problems[0].message}"))
            else:
                able.append(label)
        return opened.analyze(able)


def _images_of(target: Configured) -> list[Label]:
    """The labels of the images that a target makes: of an index, one of each platform."""
    if (target.rule.kind, target.rule.name) != ("output", "image"):
        return []
    return [label for _, label in target.parts] or [target.label]


def _held(search: Search, forms: Forms, image: RecordedImage) -> list[Held]:
    try:
        return search.held(forms.stack(image.outputs.layers))
    except (GraphbuildError, KeyError) as error:  # a layer is damaged, or links lead in a circle: the other images are looked at
        report(
            f"{image.label} cannot be searched: {error.problems[0].message if isinstance(error, GraphbuildError) else f'no layer {error}'}"
        )
        return []


def _plain(found: Iterable[Found], missing: Iterable[Label]) -> dict[str, Any]:
    return {"images": [_image(one) for one in found], "not_built": [str(label) for label in missing]}


def _image(found: Found) -> dict[str, Any]:
    image = found.image
    plain: dict[str, Any] = {
        "label": str(image.label),
        "tags": list(image.tags),
        "digest": str(image.outputs.blob),
        "size": image.outputs.size,
        "layers": [{"tree": str(layer.tree), "target": image.makers.get(layer.tree, "")} for layer in image.outputs.layers],
        "current": image.current,
    }
    if found.held:
        plain["holds"] = [
            {held.what: held.name, **({"version": held.version} if held.version else {}), "target": _maker(image, held)}
            for held in found.held
        ]
    return plain


def _maker(image: RecordedImage, held: Held) -> str:
    return image.makers.get(held.layer, "") if held.layer is not None else ""


def _listed(found: Iterable[Found]) -> str:
    rows = (
        (
            str(image.label),
            ", ".join(image.tags) or "-",
            image.outputs.blob.short if image.outputs.blob else "-",
            size(image.outputs.size),
            str(len(image.outputs.layers)),
            _state(image),
        )
        for image in (one.image for one in found)
    )
    return table(("IMAGE", "TAGS", "DIGEST", "SIZE", "LAYERS", "BUILT FROM"), rows)


def _state(image: RecordedImage) -> str:
    return "present inputs" if image.current else "older inputs"


def _places(found: Iterable[Found]) -> str:
    """A row for each thing that an image holds."""
    rows = []
    for one in found:
        start = (str(one.image.label), ", ".join(one.image.tags) or "-")
        end = _state(one.image)
        rows += [(*start, f"{held.name} {held.version}".strip(), _maker(one.image, held) or "-", end) for held in one.held[:_SHOWN]]
        if len(one.held) > _SHOWN:
            rows.append((*start, f"… and {len(one.held) - _SHOWN} more", "-", end))
    return table(("IMAGE", "TAGS", "HOLDS", "FROM TARGET", "BUILT FROM"), rows)


def _remarks(found: Sequence[Found], known: Sequence[RecordedImage], missing: Sequence[Label], *, searched: bool) -> None:
    """On stderr: how much was looked at, and what could not be."""
    if searched:
        report(
            f"{len(found) or 'none'} of {len(known)} built image{'' if len(known) == 1 else 's'} {'holds' if len(found) <= 1 else 'hold'} it"
        )
    if missing:
        report(f"not built: {', '.join(clean(str(label)) for label in missing)}")
