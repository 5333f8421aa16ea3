"""The stages of a Dockerfile as a graph in Mermaid's language: what stands on what, and what copies from what.

Read off the text alone: names are as they were written, variables and triggers of images are not known.
"""

from collections.abc import Iterator

from graphbuild_dockerfile.instructions import Copy, Run
from graphbuild_dockerfile.mounts import csv_fields
from graphbuild_dockerfile.program import Program, Stage


def draw(program: Program) -> str:
    """A flowchart: a box a stage with its instructions, an arrow from what it needs."""
    lines = ["flowchart TD"]
    names = {stage.name: _id(stage) for stage in program.stages if stage.name}
    outside: dict[str, str] = {}

    def node(name: str) -> str:
        if name.isdigit() and int(name) < len(program.stages):
            return _id(program.stages[int(name)])
        found = names.get(name.lower())
        if found is None:
            found = outside.setdefault(name, f"i{len(outside)}")
        return found

    arrows: list[str] = []
    for stage in program.stages:
        steps = [f"{each.node.line} {_short(each.node.code)}" for each in stage.instructions]
        title = stage.name or str(stage.index)
        lines.append(f'  {_id(stage)}["{_quoted("<br/>".join((title, *steps)))}"]')
        arrows.append(f"  {node(stage.start.image)} --> {_id(stage)}")
        arrows.extend(f"  {node(name)} -. files .-> {_id(stage)}" for name in dict.fromkeys(copied(stage)))
    boxes = [f'  {key}(["{_quoted(name)}"])' for name, key in outside.items()]
    return "\n".join([*lines, *boxes, *arrows])


def copied(stage: Stage) -> Iterator[str]:
    """The names behind `from=` of a stage's COPYs and mounts."""
    for each in stage.instructions:
        if isinstance(each, Copy) and each.from_:
            yield each.from_
        elif isinstance(each, Run):
            for mount in each.mounts:
                yield from (value for key, _, value in (field.partition("=") for field in csv_fields(mount)) if key.lower() == "from")


def _id(stage: Stage) -> str:
    return f"s{stage.index}"


def _short(code: str) -> str:
    text = " ".join(code.split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")
