"""Performing `Run`: the key, the mounts, the sandbox, and the layer that comes out."""

import contextlib
import itertools
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphbuild.build.failure import step_failed
from graphbuild.build.keys import Field, Fields, digest_of_entries
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.perform.sources import source_layer
from graphbuild.build.world import World
from graphbuild.layers.cancel import Cancelled
from graphbuild.layers.capture import capture
from graphbuild.layers.stack import Stack
from graphbuild.rules.actions import Run
from graphbuild.rules.mounts import AgentMount, BlobMount, CacheMount, Mount, SecretMount, SourceMount, StackMount, TmpfsMount
from graphbuild.rules.refs import Ref
from graphbuild.sandbox.job import BindMount, Job, SecretFile, Tmpfs
from graphbuild.sandbox.namespace import not_mapped
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.config import Config
from graphbuild.values.entry import Entry, encode_index
from graphbuild.values.errors import mistake
from graphbuild.values.redact import Redactor

_LIKE_DOCKER = 3  # what a RUN finds and what is kept of it: bump when that changes
_CA_BUNDLE = "/run/graphbuild/ca-certificates.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")


def prepare_run(action: Run, world: World) -> Prepared:
    config = world.config(action.config)
    argv = command_line(action, config)
    below = world.made(action.layers)
    fields: Fields = (
        Field("action", "run"),
        Field("argv", list(argv)),
        Field("env", [list(pair) for pair in config.env]),
        Field("user", config.user),
        Field("workdir", config.workdir),
        Field("network", action.network),
        Field("mounts", [_mount_field(mount, world) for mount in action.mounts], tuple(mount.to for mount in action.mounts)),
        Field("layers", [output.tree.hex for output, _ in below], layer_names(below)),
        Field("epoch", world.settings.epoch),
        Field("ids", world.settings.ids),
    )
    if action.like_docker:
        fields += (Field("like_docker", _LIKE_DOCKER),)
    return Prepared(fields, lambda task: _perform(action, config, argv, world, task), logs=True)


def layer_names(made: Sequence[tuple[LayerOutput, Ref]]) -> tuple[str, ...]:
    """Who made each layer of a stack, for `explain`; numbered where one action made several."""
    layers = Counter(ref for _, ref in made)
    numbers: defaultdict[Ref, Iterator[int]] = defaultdict(itertools.count)
    return tuple(str(ref) if layers[ref] == 1 else f"{ref}[{next(numbers[ref])}]" for _, ref in made)


def command_line(action: Run, config: Config) -> tuple[str, ...]:
    """What is executed: a string goes to the config's shell."""
    if isinstance(action.command, str):
        return (*(config.shell or ("/bin/sh", "-c")), action.command)
    return action.command


def _mount_field(mount: Mount, world: World) -> list[object]:  # noqa: PLR0911 - one a kind
    """What of a mount can change the step's output."""
    match mount:
        case SourceMount():
            layer = source_layer(mount.source, world)
            return ["bind", mount.to, mount.writable, layer.name, layer.tree.hex]
        case StackMount():
            stack = world.stack(mount.layers)
            path = stack.resolve(os.fsencode(mount.path))
            entries = [entry for entry, _ in stack.walk(path)]
            if not entries and stack.lookup(path) is None and path:
                raise mistake(f"no {mount.path} to mount at {mount.to}")
            return ["bind", mount.to, mount.writable, digest_of_entries(entries)]
        case BlobMount():
            blobs = ((name, world.results[ref].blob) for name, ref in mount.blobs)
            return ["blobs", mount.to, [[name, blob.hex if blob else ""] for name, blob in blobs]]
        case CacheMount():
            first = [[output.tree.hex for output in world.outputs(mount.layers)], mount.path] if mount.layers else []
            kinds = [name for name, said in (("by stack", mount.by_stack), ("read-only", mount.read_only)) if said]
            return ["cache", mount.to, mount.id, mount.mode, mount.uid, mount.gid, *first, *kinds]
        case TmpfsMount():
            return ["tmpfs", mount.to, mount.size]
        case SecretMount():
            return ["secret", mount.to, mount.id, mount.env, mount.mode, mount.uid, mount.gid]
        case AgentMount():
            return ["agent", mount.to, mount.id, mount.mode, mount.uid, mount.gid]


def _perform(action: Run, config: Config, argv: tuple[str, ...], world: World, task: Task) -> Outputs:
    stack = world.stack(action.layers)
    redactor = Redactor(value.decode("utf-8", "surrogateescape") for value in world.secrets.values())
    with contextlib.ExitStack() as held:
        scratch = held.enter_context(world.store.scratch())
        job = job_of(action, config, argv, stack, scratch, world, held)
        outcome = world.sandbox.run(job, lambda data: task.output(redactor.feed(data)), world.cancelled)
        task.output(redactor.close())
        if outcome.reason == "cancelled":
            raise Cancelled
        if outcome.exit_code or outcome.reason != "exited":
            task.failed_in(outcome.upper, outcome.exit_code if outcome.reason == "exited" else None)
            raise step_failed(argv, outcome, action.timeout or world.settings.timeout)
        return _capture(outcome.upper, stack, outcome.mount_points, world, like_docker=action.like_docker)


def job_of(
    action: Run, config: Config, argv: tuple[str, ...], stack: Stack, scratch: Path, world: World, held: contextlib.ExitStack
) -> Job:
    mounts = [made for mount in action.mounts for made in _mount(mount, scratch, world, held)]
    own = dict(config.env)
    extra: list[tuple[str, str]] = [] if action.like_docker else [("SOURCE_DATE_EPOCH", str(world.settings.epoch))]
    extra.extend(action.proxies)
    if action.network == "host":
        extra.extend(world.machine.proxies)
        if world.machine.ca_bundle:
            mounts.append(BindMount(world.machine.ca_bundle, _CA_BUNDLE, "ro"))
            extra.extend((name, _CA_BUNDLE) for name in _CA_VARIABLES)
    secret_env = [(mount.env, _secret_text(mount, world)) for mount in action.mounts if isinstance(mount, SecretMount) and mount.env]
    agents = dict(world.machine.agents)
    sockets = [mount.to for mount in action.mounts if isinstance(mount, AgentMount) and (action.like_docker or mount.id in agents)]
    extra.extend(("SSH_AUTH_SOCK", to) for to in (sockets[:1] if action.like_docker else sockets))
    unset = tuple((name, value) for name, value in extra if name not in own)
    return Job(
        stack=stack,
        argv=argv,
        env=config.env,
        user=config.user,
        workdir=config.workdir or "/",
        network=action.network,
        mounts=tuple(mounts),
        secret_env=(*unset, *(pair for pair in secret_env if pair[1] is not None)),
        timeout=action.timeout or world.settings.timeout,
        limits=world.settings.limits,
        scratch=scratch,
        epoch=world.settings.epoch,
        like_docker=action.like_docker,
        architecture=config.architecture,
    )


def _mount(  # noqa: PLR0911 - one a kind
    mount: Mount, scratch: Path, world: World, held: contextlib.ExitStack
) -> list[BindMount | Tmpfs | SecretFile]:
    """What the sandbox is to mount; whatever must be kept while it runs goes to `held`."""
    match mount:
        case SourceMount():
            layer = source_layer(mount.source, world)
            source = world.forms.folder(LayerOutput(layer.tree, None)) / layer.name
            return [BindMount(str(source), mount.to, "discard" if mount.writable else "ro")]
        case StackMount():
            merged = held.enter_context(world.merged(mount.layers))
            path = world.stack(mount.layers).resolve(os.fsencode(mount.path))
            return [BindMount(os.fsdecode(os.path.join(os.fsencode(merged), path)), mount.to, "discard" if mount.writable else "ro")]
        case BlobMount():
            return [BindMount(str(_blob_folder(mount, scratch, world)), mount.to, "ro")]
        case CacheMount():
            folder = held.enter_context(world.store.cache_folder(_cache_id(mount, world), mount.sharing, world.cancelled))
            if mount.layers and not os.listdir(folder):
                _fill(folder, mount, world)
            if not (mount.layers and mount.by_stack):
                _own(folder, mount)
            return [BindMount(str(folder), mount.to, "ro" if mount.read_only else "rw")]
        case TmpfsMount():
            return [Tmpfs(mount.to, mount.size)]
        case SecretMount():
            value = _secret(mount, world)
            return [SecretFile(value, mount.to, mount.mode, mount.uid, mount.gid)] if mount.to and value is not None else []
        case AgentMount():
            return _agent(mount, world)


def _blob_folder(mount: BlobMount, scratch: Path, world: World) -> Path:
    """A folder that shows blobs under other names, by hard links."""
    folder = scratch / f"blobs-{len(os.listdir(scratch))}"
    folder.mkdir()
    for name, ref in mount.blobs:
        digest = world.results[ref].blob
        path = world.store.blob(digest) if digest else None
        if path is None:
            raise mistake(f"the blob for {name} is gone from the store", hint="run again: it is fetched anew")
        os.link(path, folder / name)
    return folder


def _cache_id(mount: CacheMount, world: World) -> str:
    """The id, and where it is wanted the stack that the cache began with, in a form that no id can have."""
    if not mount.by_stack or not mount.layers:
        return mount.id
    return "\0".join((mount.id, *(output.tree.hex for output in world.outputs(mount.layers)), mount.path))


def _fill(folder: Path, mount: CacheMount, world: World) -> None:
    """Begin a cache with what is at a path of a stack."""
    stack = world.stack(mount.layers)
    with world.merged(mount.layers) as merged:
        source = merged / os.fsdecode(stack.resolve(os.fsencode(mount.path)))
        if not source.is_dir():
            raise mistake(f"no folder {mount.path} to begin the cache {mount.id!r} with")
        for name in sorted(os.listdir(source)):
            subprocess.run(["cp", "-a", "--", str(source / name), str(folder)], check=True)
        if mount.by_stack:
            about = source.stat()
            with contextlib.suppress(OSError):  # an owner that is not mapped here: nor is it in the stack
                os.chown(folder, about.st_uid, about.st_gid)
            folder.chmod(about.st_mode & 0o7777)


def _agent(mount: AgentMount, world: World) -> list[BindMount | Tmpfs | SecretFile]:
    socket = dict(world.machine.agents).get(mount.id)
    if socket is None:
        if mount.required:
            raise mistake(f"no ssh agent was given as {mount.id!r}", hint=f"pass --ssh {mount.id}, with SSH_AUTH_SOCK set")
        return []
    return [BindMount(socket, mount.to, "rw")]


def _own(folder: Path, mount: CacheMount) -> None:
    """Give a new cache folder the mode and owner the mount asks for; one in use keeps what it has."""
    if not os.listdir(folder):
        os.chmod(folder, mount.mode)
        if mount.uid or mount.gid:
            try:
                os.chown(folder, mount.uid, mount.gid)
            except OSError as error:
                raise not_mapped(f"cache {mount.id!r} belongs to {mount.uid}:{mount.gid}") from error


def _secret(mount: SecretMount, world: World) -> bytes | None:
    value = world.secrets.get(mount.id)
    if value is None and mount.required:
        raise mistake(f"secret {mount.id!r} was not given", hint=f"pass --secret id={mount.id},src=FILE or --secret id={mount.id},env=NAME")
    return value


def _secret_text(mount: SecretMount, world: World) -> str:
    value = _secret(mount, world)
    return "" if value is None else value.decode("utf-8", "surrogateescape")


def _capture(upper: Path, stack: Stack, ignored: tuple[bytes, ...], world: World, *, like_docker: bool) -> Outputs:
    """What the step changed, as a layer in the store; no layer when it changed nothing."""
    settings = world.settings
    entries: list[Entry] = capture(
        upper, stack, epoch=settings.epoch, ids=settings.ids, ignored=ignored, like_docker=like_docker, cancelled=world.cancelled
    )
    if not entries:
        return Outputs(())
    tree = world.store.put_layer(encode_index(entries, settings.epoch), folder=upper, entries=entries)
    return Outputs((LayerOutput(tree, None),), size=sum(entry.size for entry in entries))
