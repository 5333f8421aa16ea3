"""RUN as a `Run` action: its command line, its environment, its mounts."""

import posixpath
from typing import TYPE_CHECKING, Literal

from graphbuild.rules import (
    AgentMount,
    CacheMount,
    Config,
    Folder,
    GraphbuildError,
    Mount,
    Pick,
    Put,
    Ref,
    SecretMount,
    StackMount,
    StackTree,
    TextItem,
    TmpfsMount,
)
from graphbuild.rules import Run as RunAction
from graphbuild_dockerfile.environment import proxies
from graphbuild_dockerfile.instructions import Run
from graphbuild_dockerfile.messages import placed
from graphbuild_dockerfile.mounts import Mount as Said
from graphbuild_dockerfile.mounts import parse_mount
from graphbuild_dockerfile.names import below, clean, relative
from graphbuild_dockerfile.program import Stage
from graphbuild_dockerfile.state import State
from graphbuild_dockerfile.text import Node, heredoc_of

if TYPE_CHECKING:
    from graphbuild_dockerfile.stages import Stages

_PIPES = "/dev/pipes"


def run(said: Run, state: State, stage: Stage, stages: "Stages") -> None:
    """Add the layer of a RUN to its stage."""
    node = said.node
    mounts: list[Mount] = []
    for text in said.mounts:
        try:
            mount = parse_mount(text, lambda word: stages.expand(word, state, node))
        except GraphbuildError as error:
            raise GraphbuildError(*placed(error, node.place(stages.plan.file, f"--mount={text}"))) from None
        number = sum(isinstance(other, AgentMount) for other in mounts)
        mounts.extend(_mount(mount, number, node, state, stage, stages))
    command = _command(said, state, stages, mounts)
    own = state.config
    config = Config(env=tuple(state.env.items()), user=own.user, workdir=clean(own.workdir), shell=own.shell)
    network: Literal["none", "host"] = "none" if said.network == "none" or stages.request.network == "none" else "host"
    if said.network == "host" and stages.request.network == "none":
        raise stages.fault(node, "RUN --network=host, where the network is denied", "the target says `network: none`")
    if any(flag.startswith(("--security", "--device")) for flag in node.flags):
        raise stages.fault(node, f"unknown flag: {node.flags[0].partition('=')[0]}", "it is of BuildKit's labs channel, and not supported")
    action = RunAction(
        state.layers,
        (config,),
        command,
        tuple(mounts),
        network,
        like_docker=True,
        proxies=proxies(stages.request.args),
    )
    stages.layer(action, "RUN", node, state, _history(command if said.command.shell else said.command.words, state))


def _history(command: str | tuple[str, ...], state: State) -> str:
    """A RUN in the history: its ARGs, and what is executed."""
    arguments = [f"{name}={state.env.get(name, value or '')}" for name, value in state.args.items()]
    words = (*state.shell, command) if isinstance(command, str) else command
    return " ".join(("RUN", *([f"|{len(arguments)}"] if arguments else []), *arguments, *words, "# buildkit"))


def _command(said: Run, state: State, stages: "Stages", mounts: list[Mount]) -> str | tuple[str, ...]:
    """What is executed. A heredoc alone is a script: for the shell, or, with a #! line, a file of its own."""
    node = said.node
    if not said.command.shell:
        return said.command.words
    text = " ".join(said.command.words)
    if not node.heredocs:
        return text
    first = node.heredocs[0]
    if len(node.heredocs) > 1 or _has_more(text):
        return text + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs)
    if not first.content.startswith("#!"):  # BuildKit looks before it takes tabs off
        return first.body
    name = posixpath.basename(first.name)
    put = Put((TextItem(name, first.body.encode("utf-8", "surrogateescape"), 0o755),), f"/{name}")
    ref = stages.plan.add(state.action("RUN script"), put, node)
    mounts.append(StackMount((ref,), "/", _PIPES))
    return (f"{_PIPES}/{name}",)


def _has_more(text: str) -> bool:
    """Whether a command says anything besides its one heredoc."""
    try:
        return heredoc_of(text.strip()) is None
    except GraphbuildError:
        return True


def _mount(said: Said, number: int, node: Node, state: State, stage: Stage, stages: "Stages") -> list[Mount]:
    target = below(state.workdir, said.target) if said.target else ""
    match said.type:
        case "bind":
            layers, path = _bound(said, node, state, stage, stages)
            return [StackMount(layers, path, target, not said.read_only)]
        case "cache":
            return [_cache(said, target, _bound(said, node, state, stage, stages)[0] if said.from_ else ())]
        case "tmpfs":
            return [TmpfsMount(target, said.size)]
        case "secret":
            return [_secret(said, target)]
        case _:
            to = target or f"/run/buildkit/ssh_agent.{number}"
            return [
                AgentMount(said.id or "default", to, 0o600 if said.mode is None else said.mode, said.uid or 0, said.gid or 0, said.required)
            ]


def _cache(said: Said, target: str, first: tuple[Ref, ...]) -> CacheMount:
    """A cache. What begins with a stack, or is given a mode or an owner, is another one than a plain one of the same id."""
    name, sharing = said.id or relative(said.target), said.sharing or "shared"
    if first:
        return CacheMount(name, target, sharing, layers=first, path=clean(said.source or "/"), by_stack=True, read_only=said.read_only)
    mode, uid, gid = 0o755 if said.mode is None else said.mode, said.uid or 0, said.gid or 0
    if (said.mode, said.uid, said.gid) != (None, None, None):
        name = f"{name}\0{mode:o} {uid}:{gid}"
    return CacheMount(name, target, sharing, mode, uid, gid, read_only=said.read_only)


def _secret(said: Said, target: str) -> SecretMount:
    name = said.id or said.source or posixpath.basename(target) or said.env or ""
    to = target or ("" if said.env is not None else f"/run/secrets/{posixpath.basename(name)}")
    mode = 0o400 if said.mode is None else said.mode
    return SecretMount(name, to, (said.env or name) if said.env is not None else "", mode, said.uid or 0, said.gid or 0, said.required)


def _bound(said: Said, node: Node, state: State, stage: Stage, stages: "Stages") -> tuple[tuple[Ref, ...], str]:
    """The stack that a mount shows, and the path in it. Of a folder only what is shown becomes a layer."""
    tree: Folder | StackTree = stages.source(said.from_, stage.index, node, numbers=False) if said.from_ else stages.request.folder
    path = clean(said.source or "/")
    if isinstance(tree, StackTree):
        return tree.layers, path
    put = Put((Pick(tree, path.removeprefix("/"), plain=True),), path)
    return (stages.plan.add(state.action("RUN files"), put, node),), path
