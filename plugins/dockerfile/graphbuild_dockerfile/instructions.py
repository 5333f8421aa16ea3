"""What the instructions of a Dockerfile are, as values. Every word is as it was written: nothing is expanded.

A field says in its comment how BuildKit expands it later: *word* (`words.expand`), *words* (`words.expand_words`: one word
may become several, or none), or, without a comment, not at all. The environment is the stage's as it was before the
instruction, with ENV and ARG of one name: the later wins; FROM alone sees the global ARGs and nothing else. `program` makes
these values; what they do is for others to know.
"""

import msgspec

from graphbuild_dockerfile.text import Node


class Pair(msgspec.Struct, frozen=True):
    name: str  # word
    value: str  # word
    legacy: bool = False  # `ENV name value`: the value is the rest of the line


class Argument(msgspec.Struct, frozen=True):
    """`value` is None where there is no `=`: then only a build argument or a global ARG gives one."""

    name: str
    value: str | None  # word; not looked at where a build argument replaces it. Pairs of one ARG see those before them.


class Document(msgspec.Struct, frozen=True):
    """A file whose content stands in the Dockerfile. `content` is without the tabs that `<<-` strips."""

    name: str
    content: str  # if `expand`: words.expansion(content, env, "\\\\", words.HEREDOC).text, whatever the escape directive
    expand: bool


class Command(msgspec.Struct, frozen=True):
    """`shell`: `words` is empty or one text for the shell; else they are an argument vector, which may be empty."""

    words: tuple[str, ...]
    shell: bool


class From(msgspec.Struct, frozen=True, tag=True):
    """`name` is lower case, "" for none. An image may be a stage before it, in any case that equals its name exactly."""

    node: Node
    image: str  # word, of global ARGs; "" afterwards is an error
    name: str = ""
    platform: str = ""  # word, of global ARGs
    name_spelling: str = ""
    as_spelling: str = ""


class Arg(msgspec.Struct, frozen=True, tag=True):
    node: Node
    arguments: tuple[Argument, ...]


class Env(msgspec.Struct, frozen=True, tag=True):
    """All pairs see the environment as it was before the instruction."""

    node: Node
    pairs: tuple[Pair, ...]


class Label(msgspec.Struct, frozen=True, tag=True):
    node: Node
    pairs: tuple[Pair, ...]


class Run(msgspec.Struct, frozen=True, tag=True):
    """`node.heredocs` are its documents; the caller makes a script of them, see `documented`.

    `network`: default, none or host; `security`: sandbox or insecure.
    """

    node: Node
    command: Command
    mounts: tuple[str, ...] = ()  # `mounts.parse_mount(each, expand)`: each value is a word; `from` has no variables
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[str, ...] = ()


class Copy(msgspec.Struct, frozen=True, tag=True):
    node: Node
    sources: tuple[str, ...]  # word
    documents: tuple[Document, ...]
    dest: str  # word
    from_: str = ""
    chown: str = ""  # word
    chmod: str = ""  # word
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


class Add(msgspec.Struct, frozen=True, tag=True):
    """`unpack` is None where BuildKit decides: local archives are unpacked, remote ones are not."""

    node: Node
    sources: tuple[str, ...]  # word
    documents: tuple[Document, ...]
    dest: str  # word
    chown: str = ""  # word
    chmod: str = ""  # word
    link: bool = False
    exclude: tuple[str, ...] = ()
    keep_git_dir: bool = False
    checksum: str = ""  # word
    unpack: bool | None = None


class Cmd(msgspec.Struct, frozen=True, tag=True):
    node: Node
    command: Command


class Entrypoint(msgspec.Struct, frozen=True, tag=True):
    node: Node
    command: Command


class Expose(msgspec.Struct, frozen=True, tag=True):
    """Sorted, as in BuildKit, before they are expanded."""

    node: Node
    ports: tuple[str, ...]  # words


class User(msgspec.Struct, frozen=True, tag=True):
    node: Node
    user: str  # word


class Workdir(msgspec.Struct, frozen=True, tag=True):
    node: Node
    path: str  # word


class Volume(msgspec.Struct, frozen=True, tag=True):
    node: Node
    paths: tuple[str, ...]  # word; "" afterwards is an error


class StopSignal(msgspec.Struct, frozen=True, tag=True):
    node: Node
    signal: str  # word


class Shell(msgspec.Struct, frozen=True, tag=True):
    node: Node
    words: tuple[str, ...]


class OnBuild(msgspec.Struct, frozen=True, tag=True):
    """`trigger` is an instruction's text with its heredocs, as it goes into the image; `program.parse_trigger` reads it."""

    node: Node
    trigger: str


class Maintainer(msgspec.Struct, frozen=True, tag=True):
    node: Node
    name: str


class Healthcheck(msgspec.Struct, frozen=True, tag=True):
    """`test` as in an image's config: ("NONE",), ("CMD", …) or ("CMD-SHELL", text). Times in nanoseconds, 0 for the default."""

    node: Node
    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


Instruction = (
    Add
    | Arg
    | Cmd
    | Copy
    | Entrypoint
    | Env
    | Expose
    | From
    | Healthcheck
    | Label
    | Maintainer
    | OnBuild
    | Run
    | Shell
    | StopSignal
    | User
    | Volume
    | Workdir
)
