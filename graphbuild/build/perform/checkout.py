"""Performing `Checkout`: the commit is known when it is prepared, so the key is the commit, whatever name it goes by."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from graphbuild.build.hashing import hash_file
from graphbuild.build.keys import Field
from graphbuild.build.perform.answers import answered, remember
from graphbuild.build.perform.copy import layer_of
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.network.git import Git, Resolved, shown
from graphbuild.network.seam import failure
from graphbuild.rules.actions import Checkout, is_commit
from graphbuild.store.actions import Outputs
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError


def prepare_checkout(action: Checkout, world: World) -> Prepared:
    url = shown(action.url)
    keep = action.keep_git_dir and not _parts(action)
    wanted = _wanted(action, world)
    fields = (
        Field("action", "checkout"),
        Field("commit", wanted.commit),
        Field("subdir", "/".join(_parts(action))),
        Field("submodules", action.submodules),
        # What .git holds depends on where it is from; so do the places of submodules, and whether a commit is what a name stands for.
        Field("url", url if keep or action.submodules or action.commit else ""),
        Field("ref", wanted.name if keep else action.ref if action.commit else ""),
        Field("keep", keep),
        Field("epoch", world.settings.epoch),
    )
    return Prepared(fields, lambda task: _check_out(action, wanted, keep, world, task))


def _wanted(action: Checkout, world: World) -> Resolved:
    if is_commit(action.ref):
        found = Resolved(action.ref)
    elif is_commit(action.commit):
        return Resolved(action.commit)  # whether the name stands for it is checked when it is fetched
    else:
        found = world.once(("git", action.url, action.ref), lambda: _ask(action, world))
    _check(action, found)
    return found


def _check(action: Checkout, found: Resolved) -> None:
    if not found.commit.startswith(action.commit):
        hint = "what that name stands for has changed, or the checksum is mistaken"
        raise failure(shown(action.url), f"expected checksum to match {action.commit}, got {found.commit}", hint)


def _ask(action: Checkout, world: World) -> Resolved:
    """What a name stands for there now; under `--offline` what it stood for when that was asked last."""
    question = (action.url, action.ref)
    if world.settings.offline:
        known = answered(world.store, "git", question)
        if known is None:
            raise _offline(action)
        return Resolved(known[1]["commit"], known[1]["name"])
    with world.store.scratch() as folder:
        found = _git(action, folder, world).resolve(action.ref)
    remember(world.store, "git", question, Outputs(), {"commit": found.commit, "name": found.name})
    return found


def _check_out(action: Checkout, wanted: Resolved, keep: bool, world: World, task: Task) -> Outputs:
    if world.settings.offline:
        raise _offline(action)
    with world.store.scratch() as folder:
        git = _git(action, folder, world)
        if is_commit(action.commit) and not is_commit(action.ref):
            wanted = git.resolve(action.ref)
            _check(action, wanted)
        tree = git.checkout(wanted, submodules=action.submodules)
        if keep:
            git.settle(tree)
        top = _below(tree, action)
        entries = sorted(_entries(os.fsencode(top), keep, world), key=lambda entry: entry.path)

        def opened(entry: Entry) -> int:
            return os.open(os.path.join(os.fsencode(top), entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

        return layer_of(entries, opened, world).perform(task)


def _offline(action: Checkout) -> GraphbuildError:
    return failure(shown(action.url), "not fetched: --offline", hint="run once without --offline; what was fetched stays in the store")


def _git(action: Checkout, folder: Path, world: World) -> Git:
    machine = world.machine
    agent = dict(machine.agents).get("default")
    environment = {**dict(machine.proxies), "PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "")}
    environment |= {"SSL_CERT_FILE": machine.ca_bundle} if machine.ca_bundle else {}
    environment |= {"SSH_AUTH_SOCK": agent} if agent else {}
    return Git(action.url, folder, environment, world.cancelled)


def _parts(action: Checkout) -> tuple[str, ...]:
    """The folders on the way to the one that is wanted, from the repository's top."""
    return tuple(part for part in os.path.normpath(f"/{action.subdir}").split("/") if part)


def _below(tree: Path, action: Checkout) -> Path:
    """The folder that is wanted. The way to it leads through no symlink, which could lead anywhere."""
    place = tree
    for part in _parts(action):
        place /= part
        try:
            found = stat.S_ISDIR(os.lstat(place).st_mode) and part != ".git"
        except OSError:
            found = False
        if not found:
            raise failure(shown(action.url), f"invalid subdir {action.subdir}: there is no such folder in it")
    return place


def _entries(top: bytes, keep: bool, world: World) -> Iterator[Entry]:
    """All below a folder, modes reduced to the executable bit, all owned by 0:0."""
    folders = [b""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(top, folder)) as found:
            items = [item for item in found if keep or item.name != b".git"]
        for item in items:
            path = os.path.join(folder, item.name)
            if item.is_symlink():
                yield Entry(path, Kind.SYMLINK, 0o777, target=os.readlink(item.path))
            elif item.is_dir(follow_symlinks=False):
                folders.append(path)
                yield Entry(path, Kind.DIRECTORY, 0o755)
            else:
                status = item.stat(follow_symlinks=False)
                mode = 0o755 if status.st_mode & 0o100 else 0o644
                yield Entry(path, Kind.FILE, mode, size=status.st_size, digest=hash_file(item.path, status.st_size, world.cancelled))
