"""`RUN --mount=…`: the words of a mount, expanded one by one, as a value.

Knows every key, what it may be and for which type. Knows nothing of stages, contexts, caches and secrets: what `from`,
`source` and `id` mean is the caller's. Errors have no place.
"""

from collections.abc import Callable, Sequence

import msgspec

from graphbuild_dockerfile.messages import quoted, suggesting, wrong
from graphbuild_dockerfile.quantities import parse_bool, parse_size, parse_unsigned

TYPES = ("bind", "cache", "secret", "ssh", "tmpfs")
SHARINGS = ("locked", "private", "shared")
_KEYS = (
    *("type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid", "env"),
    *("src", "dst", "destination", "ro", "rw", "readwrite"),
)
_SAME = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}


class Mount(msgspec.Struct, frozen=True):
    """One mount. "" is what was not given; what BuildKit makes of it:

    `target`: relative to the working directory; required but for secret and ssh. secret: `/run/secrets/` and the last part
    of its id, unless `env` is given: then it is no file at all. ssh: `/run/buildkit/ssh_agent.N`.
    `source`: a path in `from`, its root if not given; of a secret, its id. `from_`: a stage, an image or a context; bind: the
    build context, cache: an empty folder. `id`: cache: the cleaned target; secret: the last part of the target; ssh: default.
    `read_only`: true for bind, secret and ssh unless said otherwise. `sharing`: shared. `size`: bytes, 0 for no limit.
    `mode`: cache: 0755, secret: 0400, ssh: 0600. `uid`, `gid`: 0. `required`: a secret or socket that is missing is an error.
    """

    type: str = "bind"
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    read_only: bool = True
    sharing: str = ""
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


def check_mount(text: str) -> None:
    """What is an error before anything is expanded, and in stages that are never built too."""
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if key.lower() == "from" and equals and "$" in value[:-1]:
            raise wrong("'from' doesn't support variable expansion, define alias stage instead")


def parse_mount(text: str, expand: Callable[[str], str]) -> Mount:
    """The mount; `expand` is applied to each value."""
    given: dict[str, object] = {"type": "bind"}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        _take(given, key.lower(), expand(value) if equals else None, field)
    return _checked(given)


def csv_fields(text: str) -> tuple[str, ...]:
    """The fields of one line of CSV by RFC 4180, as Go's reader takes it."""
    if not text:
        raise wrong("failed to parse csv mounts: EOF")
    fields: list[str] = []
    at = 0
    while at <= len(text):
        if text.startswith('"', at):
            field, at = _quoted_field(text, at + 1)
        else:
            end = text.find(",", at)
            field = text[at:] if end < 0 else text[at:end]
            if '"' in field:
                raise wrong(
                    f'failed to parse csv mounts: parse error on line 1, column {at + field.index(chr(34)) + 1}: bare " in non-quoted field'
                )
            at += len(field)
        fields.append(field)
        at += 1
    return tuple(fields)


def _quoted_field(text: str, at: int) -> tuple[str, int]:
    field = ""
    while True:
        end = text.find('"', at)
        if end < 0 or text[end + 1 : end + 2] not in ('"', ",", ""):
            column = (at if end < 0 else end) + 1
            raise wrong(f'failed to parse csv mounts: parse error on line 1, column {column}: extraneous or missing " in quoted-field')
        field += text[at:end]
        if text[end + 1 : end + 2] != '"':
            return field, end + 1
        field += '"'
        at = end + 2


def _take(given: dict[str, object], key: str, value: str | None, field: str) -> None:
    """Put one field among those given before it; a later one replaces an earlier one, as the type does when it comes late."""
    name = _SAME.get(key, key)
    kind = str(given["type"])
    if value is None and name not in ("readonly", "readwrite", "required"):
        raise wrong(f"invalid field '{field}' must be a key=value pair")
    if (name == "required" and kind not in ("secret", "ssh")) or (name == "size" and kind != "tmpfs"):
        raise wrong(f"unexpected key '{key}' for mount type '{kind}'")
    value = "true" if value is None else value
    match name:
        case "type" | "sharing":
            given[name] = _one_of(value, *(("mount type", TYPES) if name == "type" else ("sharing value", SHARINGS)))
        case "from":
            given["from_"] = value
        case "source" | "target" | "id" | "env":
            given[name] = value
        case "readonly" | "readwrite" | "required":
            flag = _valid(parse_bool(value), f"invalid value for {key}: {value}")
            given["required" if name == "required" else "read_only"] = bool(flag) != (name == "readwrite")
        case "size":
            given[name] = _valid(parse_size(value), f"invalid value for {key}: {value}")
        case "mode" | "uid" | "gid":
            given[name] = _valid(parse_unsigned(value, 8 if name == "mode" else 10), f"invalid value {value} for {name}")
        case _:
            raise wrong(suggesting(f"unexpected key '{key}' in '{field}'", key, _KEYS))


def _one_of(value: str, what: str, options: Sequence[str]) -> str:
    if value.lower() not in options:
        raise wrong(suggesting(f"unsupported {what} {quoted(value)}", value, options))
    return value.lower()


def _valid(value: int | None, message: str) -> int:
    if value is None:
        raise wrong(message)
    return value


def _checked(given: dict[str, object]) -> Mount:
    kind = str(given["type"])
    given.setdefault("read_only", kind not in ("cache", "tmpfs"))
    if kind in ("bind", "tmpfs"):
        for name in ("mode", "uid", "gid"):
            if name in given:
                raise wrong(f"{name} not allowed for {quoted(kind)} type mounts")
    mount = msgspec.convert(given, Mount)
    if kind == "secret":
        _check_secret(mount)
    elif mount.sharing and kind != "cache":
        raise wrong(f"invalid cache sharing set for {kind} mount")
    return mount


def _check_secret(mount: Mount) -> None:
    if mount.from_:
        raise wrong("secret mount should not have a from")
    if mount.sharing:
        raise wrong("secret mount should not define sharing")
    if not (mount.source or mount.target or mount.id):
        raise wrong("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise wrong("both source and id can't be set")
