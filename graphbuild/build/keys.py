"""Action keys: a list of named fields, one encoding of it, one hash of that. `explain` reads the same fields.

A field is in here if it can change the action's output, and only then. Digests stand for inputs and parents; labels,
timeouts, secrets' values, cache mounts' contents and the machine are in no field. Values are plain: str, int, bool,
None, bytes, and lists of them.
"""

import re
from typing import Any

import msgspec
from blake3 import blake3

from graphbuild.values.digest import Digest, tree
from graphbuild.values.entry import Entry, encode_index

# Bump when graphbuild itself makes another output from the same fields: the sandbox, capture, the tar, the merge.
VERSION = 1

_DIGEST = re.compile(r"[0-9a-f]{64}")

_encoder = msgspec.msgpack.Encoder()


class Field(msgspec.Struct, frozen=True, array_like=True):
    """One field of a key. `names` say, for people, what the items of a list are; they are not hashed."""

    name: str
    value: Any
    names: tuple[str, ...] = ()


Fields = tuple[Field, ...]


def key_of(fields: Fields) -> Digest:
    """The key: blake3 over MessagePack of [version, [[name, value], …]]."""
    encoded = _encoded([VERSION, [[field.name, field.value] for field in fields]])
    return tree(blake3(encoded).digest().hex())  # faster than its `hexdigest`


def encode_fields(fields: Fields) -> bytes:
    try:
        return _encoder.encode(fields)
    except UnicodeEncodeError:
        return _encoded([[field.name, field.value, [_shown_of_bytes(name) for name in field.names]] for field in fields])


def _encoded(value: list[Any]) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:  # words of a command may be of any bytes
        return _encoder.encode(_without_surrogates(value))


def _shown_of_bytes(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _without_surrogates(value: Any) -> Any:
    """Strings that stand for bytes that are no UTF-8 as these bytes."""
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogateescape")
    return value


def decode_fields(data: bytes) -> Fields:
    """The fields a result was stored with; () for what cannot be read any more."""
    try:
        return msgspec.msgpack.decode(data, type=Fields)
    except msgspec.DecodeError:
        return ()


def digest_of_entries(entries: list[Entry]) -> bytes:
    """A digest of selected entries, for keys that depend on some paths of a tree and on nothing else of it."""
    return blake3(encode_index(entries)).digest()


def difference(old: Fields, new: Fields) -> list[str]:
    """What changed between two keys, a line each, for people. Empty when nothing did."""
    before = {field.name: field for field in old}
    after = {field.name: field for field in new}
    lines: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            lines.append(f"{name} {'added' if one is None else 'removed'}")
        elif one.value != other.value:
            lines.extend(_changed(one, other))
    return lines


def _changed(one: Field, other: Field) -> list[str]:
    if isinstance(one.value, list) and isinstance(other.value, list):
        return _changed_list(one, other)
    before, after = _members(one.value), _members(other.value)
    if before is not None and after is not None:
        return _changed_members(one.name, before, after)
    return [f"{one.name}: {_shown(one.value)} → {_shown(other.value)}"]


def _members(value: Any) -> dict[str, Any] | None:
    """Those of an object, or of a text that is one in JSON, as an image's config is in its key; None for anything else."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):  # it may be of an image that others made
            return None
    return value if isinstance(value, dict) else None


def _changed_members(name: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """As if each were a field of its own."""
    names = dict.fromkeys((*before, *after))
    pairs = ((member, before.get(member), after.get(member)) for member in names)
    return [line for member, one, other in pairs if one != other for line in _changed(Field(f"{name}.{member}", one), Field("", other))]


def _changed_list(one: Field, other: Field) -> list[str]:
    """Item by item: by name where the items have names, by their first element where they are pairs, else by place."""
    before, after = _keyed(one), _keyed(other)
    lines = []
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            lines.append(f"{one.name}: {name} removed")
        elif name not in before:
            lines.append(f"{one.name}: {name} added")
        elif before[name] != after[name]:
            lines.append(f"{one.name}: {name} changed, {_change(before[name], after[name])}")
    return lines or [f"{one.name}: the order changed"]


def _keyed(field: Field) -> dict[str, Any]:
    if len(field.names) == len(field.value):
        return dict(zip(field.names, field.value, strict=True))
    if all(isinstance(item, list) and item for item in field.value):
        return {_shown(item[0]): item[1:] for item in field.value}
    return {f"[{index}]": item for index, item in enumerate(field.value)}


def _change(one: Any, other: Any) -> str:
    """Two values, of lists only what differs."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(before, after) for before, after in zip(one, other, strict=True) if before != after]
        one, other = [before for before, _ in pairs], [after for _, after in pairs]
    return f"{_shown(one)} → {_shown(other)}"


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bytes):
        return value.hex()[:12] if len(value) == 32 else value.decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        return " ".join(_shown(item) for item in value) or "(empty)"
    text = str(value)
    if _DIGEST.fullmatch(text):
        return text[:12]
    return text if len(text) <= 200 else f"{text[:200]}…"
