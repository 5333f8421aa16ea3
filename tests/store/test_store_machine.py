"""The store as a state machine: two processes' views of one store, collections, leases, power cuts, against a simple model."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_parts import damage, key, put_folder_layer, record_of

from graphbuild.store.store import Store
from graphbuild.values.digest import sha256, tree

_NUMBERS = st.integers(0, 4)
_WHO = st.integers(0, 1)


class Machine(RuleBasedStateMachine):
    """Model: what must be found (`sure`), what must not (`gone`); anything else may be or not. Contents follow from numbers."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.boot = 0
        self.sure: set[int] = set()
        self.durable: set[int] = set()
        self.ever: set[int] = set()
        self.open()

    def open(self) -> None:
        self.stores = [Store(self.folder / "s", boot=str(self.boot)) for _ in range(2)]
        self.leases: list[ExitStack | None] = [None, None]
        self.leased: list[set[int]] = [set(), set()]

    def close(self) -> None:
        for who in range(2):
            self.end_lease(who)
            self.stores[who].close()

    @rule(who=_WHO, number=_NUMBERS)
    def build(self, who: int, number: int) -> None:
        store = self.stores[who]
        layer, blob = put_folder_layer(store, b"layer %d" % number), store.put_blob(b"blob %d" % number)
        store.record(key(number), record_of(layer, blob=blob))
        self.sure.add(number)
        self.ever.add(number)
        self.note(who, number)

    @rule(who=_WHO, number=_NUMBERS)
    def look_up(self, who: int, number: int) -> None:
        record = self.stores[who].lookup(key(number))
        assert record is not None or number not in self.sure
        assert record is None or number in self.ever
        if record is not None:
            layer, blob = record.outputs.layers[0].tree, record.outputs.blob
            assert blob is not None
            assert ((self.stores[who].folder(layer) or Path()) / "f").read_bytes() == b"layer %d" % number
            assert (self.stores[who].blob(blob) or Path()).read_bytes() == b"blob %d" % number
            assert self.stores[who].index(layer)[0].path == b"f"
            self.sure.add(number)
            self.note(who, number)

    def note(self, who: int, number: int) -> None:
        if self.leases[who] is not None:
            self.leased[who].add(number)

    @rule(who=_WHO)
    def begin_lease(self, who: int) -> None:
        if self.leases[who] is None:
            stack = ExitStack()
            stack.enter_context(self.stores[who].lease())
            self.leases[who] = stack

    @rule(who=_WHO)
    def end_lease(self, who: int) -> None:
        stack = self.leases[who]
        if stack is not None:
            stack.close()
        self.leases[who] = None
        self.leased[who].clear()

    @rule(who=_WHO, everything=st.booleans())
    def collect(self, who: int, everything: bool) -> None:
        self.stores[who].gc(0 if everything else None, None)
        if everything:
            self.sure &= self.leased[0] | self.leased[1]
            self.durable &= self.sure

    @rule(who=_WHO)
    def sync(self, who: int) -> None:
        self.stores[who].sync()

    @rule()
    def sync_all(self) -> None:
        for store in self.stores:
            store.sync()
        self.durable = set(self.sure)

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()

    @rule()
    def power_cut(self) -> None:
        """What was not synced is half there: its files are empty, its rows may be there. A lookup in another boot sees what was synced."""
        self.close()
        unsynced = Store(self.folder / "s", boot="none")
        known = {number for number in self.ever if unsynced.lookup(key(number)) is not None}
        for blob in (self.folder / "s/blobs/sha256").iterdir():
            if unsynced.blob(sha256(blob.name)) is None:
                blob.chmod(0o600)
                os.truncate(blob, 0)
        for layer in (self.folder / "s/layers").iterdir():
            if unsynced.folder(tree(layer.name)) is None:
                os.truncate(layer / "f", 0)
        assert known >= self.durable
        unsynced.close()
        self.boot += 1
        self.open()
        self.sure = known

    @rule(who=_WHO)
    def look_for_damage(self, who: int) -> None:
        assert damage(self.stores[who]) == []

    @invariant()
    def no_scratch_is_left(self) -> None:
        if hasattr(self, "folder"):
            assert list((self.folder / "s/tmp").iterdir()) == []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.close()
            shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
