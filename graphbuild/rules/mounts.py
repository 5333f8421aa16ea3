"""What a step sees besides its stack."""

import msgspec

from graphbuild.rules.refs import Ref, WorkspaceFile


class SourceMount(msgspec.Struct, frozen=True, tag="bind"):
    """A file or folder of the workspace, seen read-only at `to` (`writable`: writes are thrown away)."""

    source: WorkspaceFile
    to: str
    writable: bool = False


class StackMount(msgspec.Struct, frozen=True, tag="bind-target"):
    """A path of another target's tree, seen read-only at `to` (`writable`: writes are thrown away)."""

    layers: tuple[Ref, ...]
    path: str
    to: str
    writable: bool = False


class BlobMount(msgspec.Struct, frozen=True, tag="bind-blobs"):
    """A read-only folder at `to` that shows fetched blobs under the given file names."""

    blobs: tuple[tuple[str, Ref], ...]
    to: str


class CacheMount(msgspec.Struct, frozen=True, tag="cache"):
    """A folder that outlives the step and is in no layer and no key (its id and place are).

    `sharing`: "shared", "locked" (one step at a time) or "private" (a folder of its own while others use it). A new folder begins
    with what is at `path` in the stack `layers`, where there are any. `by_stack`: there is one folder for each such stack, and a new
    one has the mode and the owner of what is there. `read_only`: the step cannot write to it.
    """

    id: str
    to: str
    sharing: str = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    layers: tuple[Ref, ...] = ()
    path: str = "/"
    by_stack: bool = False
    read_only: bool = False


class TmpfsMount(msgspec.Struct, frozen=True, tag="tmpfs"):
    """An empty file system in memory, gone after the step. `size` in bytes, 0 for the kernel's default."""

    to: str
    size: int = 0


class SecretMount(msgspec.Struct, frozen=True, tag="secret"):
    """A secret as a file at `to` and/or as the variable `env`. Its id is in the key, its value nowhere."""

    id: str
    to: str = ""
    env: str = ""
    mode: int = 0o400
    uid: int = 0
    gid: int = 0
    required: bool = True


class AgentMount(msgspec.Struct, frozen=True, tag="agent"):
    """The socket of an ssh agent that the user gave under this id, at `to`; SSH_AUTH_SOCK names it to the step. It is in no key."""

    id: str
    to: str
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    required: bool = False


Mount = SourceMount | StackMount | BlobMount | CacheMount | TmpfsMount | SecretMount | AgentMount
