"""`graphbuild load`: builds images, and gives them to the engine that is to run them."""

import functools
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from graphbuild.build.perform.engines import engine_for, load, missing
from graphbuild.build.world import World
from graphbuild.cli import build
from graphbuild.cli.push import images_of
from graphbuild.cli.session import Session
from graphbuild.cli.transfers import Transfers
from graphbuild.graph.analyze import Graph
from graphbuild.image.engine.docker import socket_of
from graphbuild.image.write import parse_tags
from graphbuild.rules.api import ImageProvider
from graphbuild.ui.text import duration, size
from graphbuild.values.digest import Digest
from graphbuild.values.errors import EXIT_OK, lacking, mistake
from graphbuild.values.label import Label
from graphbuild.values.platform import this_platform


def load_images(options: Any) -> int:
    """Build and load. Returns the exit code."""
    kind = options.into or _at_hand(os.environ)
    kind = f"{kind}:{options.namespace}" if kind == "containerd" and options.namespace else kind

    def choose(opened: Session, labels: Sequence[Label]) -> Sequence[Label]:
        images = images_of(opened.graph(labels, locked=options.locked), labels, this_platform())
        if not images:
            raise mistake(f"nothing to load: {', '.join(map(str, labels))} is no image", hint="name an output of the rule `image`")
        return list(images)

    def then(_opened: Session, graph: Graph, world: World, labels: Sequence[Label]) -> int:
        return _load(kind, graph, world, labels, options.progress)

    return build.run(options, choose=choose, then=then)


def _load(kind: str, graph: Graph, world: World, labels: Sequence[Label], mode: Any) -> int:
    begun = time.monotonic()
    transfers = Transfers(mode, "sent")
    engine = engine_for(kind)
    layers = sent = 0

    def work() -> list[str]:
        nonlocal layers, sent
        lines = []
        for label, action in images_of(graph, labels, this_platform()).items():
            config = _config_of(graph, world, label)
            names = [name.familiar for name in parse_tags(action.tags)] or [str(config)]
            new = bool(missing(engine, action, config, world))
            if new:
                what = f"into {engine.name}"
                transfers.started(str(label), what)
                done = load(engine, action, world, functools.partial(transfers.progress, str(label), what))
                transfers.finished(str(label), what)
                layers, sent = layers + done.layers, sent + done.size
            lines += [f"{name}  {config}{'' if new else '  (was there)'}\n" for name in names]
        return lines

    sys.stdout.writelines(transfers.run(work))
    sys.stdout.flush()
    if mode != "quiet":
        moved = f"{layers} layer{'' if layers == 1 else 's'} sent ({size(sent)})"
        sys.stderr.write(f"loaded into {engine.name} in {duration(time.monotonic() - begun)}: {moved}\n")
    return EXIT_OK


def _config_of(graph: Graph, world: World, label: Label) -> Digest:
    provider = graph.targets[label].get(ImageProvider)
    config = world.results[provider.image].blob if provider else None
    assert config is not None
    return config


def _at_hand(environment: Mapping[str, str]) -> str:
    """The engine that people mean who do not say which: the one that is there."""
    if environment.get("DOCKER_HOST") or os.path.exists(socket_of(environment)):
        return "docker"
    for program, kind in (("podman", "podman"), ("ctr", "containerd")):
        if shutil.which(program, path=environment.get("PATH")):
            return kind
    raise lacking(
        "no engine to load into: neither Docker's socket, nor podman, nor ctr", "install one, or name its socket: DOCKER_HOST=unix://…"
    )
