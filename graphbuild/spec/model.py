"""What a build.yaml says: located declarations of plain data, and the attributes that every target may have.

A Declaration is as it was written: `${…}` is expanded and values are converted later (`spec.convert`, `spec.attributes`),
because a variable may be a matrix value. Structs that end in `Text` are the written form and make the JSON Schema.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from graphbuild.rules.mounts import AgentMount, CacheMount, SecretMount, TmpfsMount
from graphbuild.values.errors import SpecPath

Section = Literal["bases", "steps", "outputs", "tests"]

# section → kind of its rules
SECTIONS: dict[str, str] = {"bases": "base", "steps": "step", "outputs": "output", "tests": "test"}
BUILT = ("bases", "steps", "outputs")  # what a pattern means where nothing is tested
Below = tuple[str | int, ...]  # a path below a target: ("image", "config", "user")
BUILD_FILE = "build.yaml"
MAX_BYTES = 4 << 20  # of a file
WORKSPACE_FILE = "graphbuild.yaml"


class Declaration(msgspec.Struct, frozen=True):
    """One target as it was written: its rule's value and its common attributes are plain data, unexpanded.

    `line` counts from 1 and is the line of the target's name. `rule` is "" in a file that only changes what it `extends`.
    `elsewhere`: which parts of it, by their path below the target, come from another file (`spec.extend`).
    """

    section: Section
    name: str
    rule: str
    value: Any
    common: dict[str, Any]
    file: str
    line: int
    elsewhere: dict[Below, str] = {}

    @property
    def path(self) -> tuple[str, str]:
        """Where the declaration is in its file, as `SpecPath` has it."""
        return (self.section, self.name)

    @property
    def place(self) -> SpecPath:
        return SpecPath(self.file, self.path)


class PackageSpec(msgspec.Struct, frozen=True):
    """A parsed build.yaml, or a template that others extend. `package` is its folder relative to the workspace; targets are in the order
    of the file. `extends`: the templates, from the workspace's root. `visibility` is what targets that say nothing have; None: not said.
    """

    package: str
    file: str
    vars: dict[str, str]
    targets: tuple[Declaration, ...]
    extends: tuple[str, ...] = ()
    visibility: tuple[str, ...] | None = None


class BindMount(msgspec.Struct, frozen=True, tag="bind"):
    """A path of the package, or of the target `from_` (a label as written), at `to`. `writable`: writes are thrown away."""

    path: str
    to: str
    from_: str = ""
    writable: bool = False


class FilledCache(msgspec.Struct, frozen=True, tag="filled-cache"):
    """A cache that, when it is new, begins with what is at `path` in the target `from_` (a label as written), mode and owner included."""

    cache: CacheMount
    from_: str
    path: str


Mount = BindMount | CacheMount | FilledCache | TmpfsMount | SecretMount | AgentMount


class Common(msgspec.Struct, frozen=True):
    """The attributes every target may have, converted. None (and "", 0, ()) means not said; `timeout` is in seconds."""

    from_: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    workdir: str | None = None
    shell: tuple[str, ...] | None = None
    mounts: tuple[Mount, ...] = ()  # `mounts`, then `secrets`
    network: Literal["none", "host"] = "none"
    tags: tuple[str, ...] = ()
    matrix: tuple[tuple[str, tuple[str, ...]], ...] = ()
    timeout: float = 0
    overlap: Literal["error", "last-wins"] = "error"
    description: str = ""


class BindText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Show a file or folder of the package, or of another target, to the step."""

    bind: Annotated[str, Meta(description="A path of the package (// starts at the workspace root), or in the target `from`.")]
    to: Annotated[str, Meta(description="Where the step sees it.")]
    from_: Annotated[str, Meta(description="The label of the target whose files are meant.")] = ""
    writable: Annotated[bool, Meta(description="Let the step write to it; what it writes is thrown away.")] = False


class CacheText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A folder that outlives the step and is in no layer."""

    cache: Annotated[str, Meta(description="The cache's id; targets that name the same one share it.")]
    to: Annotated[str, Meta(description="Where the step sees it.")]
    sharing: Annotated[Literal["shared", "locked", "private"], Meta(description="What two steps at once do with it.")] = "shared"
    mode: Annotated[str, Meta(description='Permission bits, octal, in quotes: "0755".')] = "0755"
    uid: int = 0
    gid: int = 0
    from_: Annotated[str, Meta(description="The label of a target with whose files a new cache begins; other files, another cache.")] = ""
    path: Annotated[str, Meta(description="The folder in it.")] = "/"
    read_only: Annotated[bool, Meta(description="Let the step not write to it.")] = False


class TmpfsText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty folder in memory: `{tmpfs: /path}`, or with `to`."""

    tmpfs: Annotated[str | None, Meta(description="Where the step sees it.")] = ""
    to: Annotated[str, Meta(description="Where the step sees it.")] = ""
    size: Annotated[str, Meta(description='Its limit: "64m", "1g".')] = ""


class SecretText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret as a file and/or as a variable; its value is in no layer and no key."""

    secret: Annotated[str, Meta(description="The secret's id.")]
    to: Annotated[str, Meta(description="The file that holds it; /run/secrets/ID where neither `to` nor `env` is given.")] = ""
    env: Annotated[str, Meta(description="The variable that holds it.")] = ""
    mode: Annotated[str, Meta(description='Permission bits, octal, in quotes: "0400".')] = "0400"
    uid: int = 0
    gid: int = 0
    required: Annotated[bool, Meta(description="Fail where the secret is not given.")] = True


class SshText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ssh agent that `graphbuild run --ssh ID` gives; SSH_AUTH_SOCK names its socket."""

    ssh: Annotated[str, Meta(description="The agent's id; `default` is the one of --ssh default.")]
    to: Annotated[str, Meta(description="Where the step sees the socket.")] = "/run/graphbuild/ssh_agent"
    mode: Annotated[str, Meta(description='Permission bits, octal, in quotes: "0600".')] = "0600"
    uid: int = 0
    gid: int = 0
    required: Annotated[bool, Meta(description="Fail where the agent is not given.")] = True


class SecretEntryText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `secrets`."""

    id: Annotated[str, Meta(description="The secret's id.")]
    to: Annotated[str, Meta(description="The file that holds it; /run/secrets/ID where neither `to` nor `env` is given.")] = ""
    env: Annotated[str, Meta(description="The variable that holds it.")] = ""
    required: Annotated[bool, Meta(description="Fail where the secret is not given.")] = True


MOUNTS: dict[str, type[msgspec.Struct]] = {
    "bind": BindText,
    "cache": CacheText,
    "tmpfs": TmpfsText,
    "secret": SecretText,
    "ssh": SshText,
}


class CommonText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The attributes every target may have, as they are written."""

    from_: Annotated[str | tuple[str, ...], Meta(description="The target, or targets, whose files this one starts from.")] = ()
    env: Annotated[dict[str, str], Meta(description="Variables of the step, and of what is built on it.")] = {}
    user: Annotated[str, Meta(description="Who runs it: a name or id, with :group.")] = ""
    workdir: Annotated[str, Meta(description="The folder it runs in.")] = ""
    shell: Annotated[str | tuple[str, ...], Meta(description="What runs a command that is text: a path, or a list with its options.")] = ()
    mounts: Annotated[
        tuple[Any, ...],  # one of MOUNTS each; msgspec has no union of Structs without a tag
        Meta(description="Files, caches, secrets and memory that the step sees and its layer does not hold."),
    ] = ()
    secrets: Annotated[tuple[str | SecretEntryText, ...], Meta(description="Secrets that the step sees.")] = ()
    network: Annotated[Literal["none", "host"], Meta(description="none: the step is hermetic.")] = "none"
    tags: Annotated[tuple[str, ...], Meta(description="Words about the target. `manual`: no pattern selects it, only its name.")] = ()
    matrix: Annotated[dict[str, tuple[str | bool, ...]], Meta(description="Variables with several values: a target for each cell.")] = {}
    vars: Annotated[dict[str, str | bool], Meta(description="Variables of this target alone, before its package's.")] = {}
    visibility: Annotated[
        str | tuple[str, ...],
        Meta(description="Who may name it besides its package: public, private, or packages (//svc/web, //svc/...)."),
    ] = "private"
    platforms: Annotated[
        tuple[str, ...],
        Meta(description="Platforms to build it for, os/arch[/variant]: an image of several is an index; others are a target each."),
    ] = ()
    timeout: Annotated[str | int, Meta(description='When to give up: "90s", "5m", "1h30m", or seconds.')] = 0
    overlap: Annotated[Literal["error", "last-wins"], Meta(description="What to do where parents disagree on a path.")] = "error"
    description: Annotated[str, Meta(description="What this is, for people.")] = ""


COMMON_ATTRIBUTES: tuple[str, ...] = CommonText.__struct_encode_fields__
READ_FIRST = ("matrix", "platforms", "vars", "visibility")  # attributes that are read before `${}` and `select` have a meaning
