"""What the network said when it was asked, kept in the store: for the next question, and for builds that may not ask.

An answer is a record of the action cache, under a key that no action has: the collector knows what it holds, and how old it is.
"""

from collections.abc import Mapping

from graphbuild.build.keys import Field, decode_fields, encode_fields, key_of
from graphbuild.store.actions import Outputs, Record
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest


def answered(store: Store, kind: str, question: tuple[str, ...]) -> tuple[Outputs, Mapping[str, str]] | None:
    """The last answer to a question, if all that it names is still in the store."""
    record = store.lookup(_key(kind, question))
    return (record.outputs, {field.name: field.value for field in decode_fields(record.fields)}) if record else None


def remember(store: Store, kind: str, question: tuple[str, ...], outputs: Outputs, said: Mapping[str, str]) -> None:
    """Keep an answer. Nothing of the question itself is written down: URLs may hold passwords."""
    fields = tuple(Field(name, value) for name, value in sorted(said.items()))
    store.record(_key(kind, question), Record(outputs, encode_fields(fields), kind, 0.0, log=False))


def _key(kind: str, question: tuple[str, ...]) -> Digest:
    return key_of((Field("answer", kind), Field("question", list(question))))
