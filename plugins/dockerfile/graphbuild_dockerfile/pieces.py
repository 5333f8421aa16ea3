"""Runs, mounts and puts as a build.yaml says them: plain data. What cannot be said is a `NotSaid`."""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from graphbuild.rules import (
    Action,
    AgentMount,
    BlobItem,
    CacheMount,
    Checkout,
    Config,
    Fetch,
    Folder,
    Mount,
    Pick,
    Put,
    Ref,
    Run,
    SecretMount,
    StackMount,
    StackTree,
    TextItem,
    TmpfsMount,
)
from graphbuild_dockerfile.remotes import without_password

Data = dict[str, Any]
Stack = Callable[[tuple[Ref, ...]], str]  # the target that offers a stack
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_AROUND = re.compile(
    r"(\b|/)(print)?env\s*($|[|>;&)])|\benviron\b|\b(SOURCE_DATE_EPOCH|SSH_AUTH_SOCK|HOSTNAME|hostname)\b"  # its environment and names
    r"|\$\$|/proc/|/sys/|/etc/hosts\b"
    r"|\b(capsh|mount|setfattr|setpriv|su|sudo|syscall)\b"  # its rights, and attributes of files
)
_WILD = re.compile(r"[*?\[\\]")


class NotSaid(Exception):  # noqa: N818 - a message on its way to a list
    """Why an instruction does not convert."""


class Around(msgspec.Struct, frozen=True):
    """What a put needs to know. `folder` is the context, `own` the package's files that were not there before."""

    folder: Folder
    folders: Mapping[str, str]
    ignores: Mapping[str, str]
    own: list[str]
    actions: Mapping[Ref, Action]
    stack: Stack
    chosen: list[str]  # own files that wildcards would take: filled as they are seen


def run_data(action: Run, command: str | list[str], config: Config, stack: Stack, *, on_image: bool) -> Data:
    """A step that runs. `config` flows down to it; `on_image`: it stands on one, which has what Docker makes for a RUN and leaves behind."""
    if not command:
        raise NotSaid("an empty command does not convert")
    (own,) = action.config
    assert isinstance(own, Config)
    flowing = dict(config.env)
    env = {key: value for key, value in own.env if flowing.get(key) != value}
    env |= {key: value for key, value in action.proxies if key not in env and key.swapcase() in env}  # declared in one spelling
    said: Data = {"command": command} | ({"env": env} if env else {})
    if not on_image or config.user.partition(":")[0] not in ("", "root", "0") or _looks_around(action):
        said["like_docker"] = True
    data: Data = {"run": said if len(said) > 1 else command}
    visible = {mount.to: mount for mount in action.mounts if mount.to}  # the last one at a place
    mounts = [mount for mount in action.mounts if not mount.to or visible[mount.to] is mount]
    data |= {"mounts": [mount_data(mount, stack) for mount in mounts]} if mounts else {}
    return data | ({"network": "host"} if action.network == "host" else {})


def _looks_around(action: Run) -> bool:
    """Whether a command may write down what a step of a build.yaml finds otherwise than a RUN of Docker: then it is to find the same."""
    text = action.command if isinstance(action.command, str) else " ".join(action.command)
    hides = any(isinstance(mount, TmpfsMount) for mount in action.mounts)  # and has the mode of what it hides
    return _AROUND.search(text) is not None or (hides and re.search(r"\b(stat|ls|find)\b", text) is not None)


def mount_data(mount: Mount, stack: Stack) -> Data:
    to = mount.to
    if to in ("", "/") and not isinstance(mount, SecretMount):
        raise NotSaid("a mount over the root does not convert: a step's files are those of its `from`")
    match mount:
        case StackMount():
            return {"bind": mount.path, "from": stack(mount.layers), "to": to} | ({"writable": True} if mount.writable else {})
        case CacheMount():
            data: Data = {"cache": mount.id.replace("\0", " "), "to": to}
            data |= {"sharing": mount.sharing} if mount.sharing != "shared" else {}
            data |= {"mode": f"{mount.mode:04o}"} if mount.mode != 0o755 else {}
            data |= _owner(mount)
            if mount.layers:
                data |= {"from": stack(mount.layers), "path": mount.path}
            return data | ({"read_only": True} if mount.read_only else {})
        case TmpfsMount():
            return {"tmpfs": to} | ({"size": str(mount.size)} if mount.size else {})
        case SecretMount():
            return _secret(mount)
        case AgentMount():
            if not ID.fullmatch(mount.id):
                raise NotSaid(f"the agent's id {mount.id!r} does not convert: letters, digits, _ . + -")
            mode = {"mode": f"{mount.mode:04o}"} if mount.mode != 0o600 else {}
            return {"ssh": mount.id, "to": to} | mode | _owner(mount) | ({} if mount.required else {"required": False})
        case _:
            raise NotSaid("this mount does not convert")


def put_data(action: Put, around: Around, *, linked: bool) -> Data:
    if not action.items:
        data: Data = {"path": action.to.rstrip("/") or "/"} | _said(chown=action.owner, chmod=action.mode)
        return {"directory": data if len(data) > 1 else data["path"]}
    picks = [item for item in action.items if isinstance(item, Pick)]
    tree = next((pick.tree for pick in picks if isinstance(pick.tree, Folder)), picks[0].tree if picks else None)
    together = bool(picks) and all(pick.unpack == picks[0].unpack for pick in picks)
    files = [_item(item, tree, around, together=together) for item in action.items]
    data = {"files": files[0] if len(files) == 1 and isinstance(files[0], str) else files}
    if tree is not None:
        data |= _tree(tree, around)
        data |= {"unpack": True} if together and picks[0].unpack else {}
    data["to"] = action.to
    data |= _said(chown=action.owner, chmod=action.mode)
    exclude = list(action.exclude)
    if any(_holds_own(pick, around) for pick in picks):
        exclude += [name for name in around.own if name not in exclude]
    data |= {"exclude": exclude} if exclude else {}
    data |= {"link": True} if linked else {}
    return {"put": data}


def _holds_own(pick: Pick, around: Around) -> bool:
    """Whether it takes the whole context, in which the package's own files are now. What wildcards choose can be no pattern's."""
    if pick.tree != around.folder and not (isinstance(pick.tree, Folder) and pick.tree.path == around.folder.path):
        return False
    first = pick.path.partition("/")[0]
    around.chosen.extend(name for name in around.own if first and _WILD.search(first) and fnmatchcase(name.partition("/")[0], first))
    return not pick.path


def _tree(tree: Folder | StackTree, around: Around) -> Data:
    if isinstance(tree, StackTree):
        return {"from": around.stack(tree.layers)}
    folder = around.folders[tree.path]
    ignore = around.ignores.get(tree.path, "")
    return _said(folder=folder if folder != "." else "", ignore=ignore)


def _item(item: Pick | TextItem | BlobItem, tree: Folder | StackTree | None, around: Around, *, together: bool) -> str | Data:
    match item:
        case Pick():
            text = item.path or "."
            if isinstance(item.tree, StackTree):
                text = "/" + item.path
            literal = item.plain and bool(_WILD.search(item.path))
            elsewhere = {"from": around.stack(item.tree.layers)} if isinstance(item.tree, StackTree) and item.tree != tree else {}
            if not item.include and not literal and not elsewhere and (together or not item.unpack):
                return text
            data: Data = {"path": text} | elsewhere
            data |= {"include": list(item.include)} if item.include else {}
            data |= {"unpack": True} if item.unpack else {}
            return data | ({"literal": True} if literal else {})
        case TextItem():
            try:
                text = item.content.decode()
            except UnicodeDecodeError:
                raise NotSaid("a text that is not UTF-8 does not convert: make a file of it") from None
            return {"name": item.name, "text": text} | ({"mode": f"{item.mode:04o}"} if item.mode != 0o644 else {})
        case BlobItem():
            fetch = around.actions[item.blob]
            assert isinstance(fetch, Fetch)
            if without_password(fetch.url) != fetch.url:
                raise NotSaid("a URL with a password does not convert: a build.yaml is no place for it")
            data = {"url": fetch.url} | _said(sha256=fetch.sha256) | {"name": item.name}
            data |= {"mode": f"{item.mode:04o}"} if item.mode != 0o600 else {}
            return data | ({"unpack": True} if item.unpack else {})


def _said(**values: str) -> Data:
    return {name: value for name, value in values.items() if value}


def _owner(mount: CacheMount | SecretMount | AgentMount) -> Data:
    return ({"uid": mount.uid} if mount.uid else {}) | ({"gid": mount.gid} if mount.gid else {})


def _secret(mount: SecretMount) -> Data:
    if not ID.fullmatch(mount.id):
        raise NotSaid(f"the secret's id {mount.id!r} does not convert: letters, digits, _ . + -")
    usual = mount.to == f"/run/secrets/{mount.id}" and not mount.env
    data: Data = {"secret": mount.id} | ({} if usual else _said(to=mount.to)) | _said(env=mount.env)
    data |= {"mode": f"{mount.mode:04o}"} if mount.mode != 0o400 else {}
    return data | _owner(mount) | ({} if mount.required else {"required": False})


def git_data(checkout: Checkout) -> Data:
    """A base of a git repository."""
    if without_password(checkout.url) != checkout.url:
        raise NotSaid("a URL with a password does not convert: a build.yaml is no place for it")
    data: Data = {"url": checkout.url} | _said(ref=checkout.ref, commit=checkout.commit, subdir=checkout.subdir)
    data |= {"keep_git_dir": True} if checkout.keep_git_dir else {}
    data |= {} if checkout.submodules else {"submodules": False}
    return {"git": data if len(data) > 1 else checkout.url}
