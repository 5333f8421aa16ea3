"""Steps that write what few write, sources that do not hold still, builds beside each other: right, or refused with a name."""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workspaces import BASE, Workspace, manifest, spec_of, tree_of

CHURNS = 6  # builds while a source changes


def made(ws: Workspace, script: str) -> dict:
    """What the tree holds after a step on the base."""
    step = {"from": "base", "run": script}
    outputs = {"tree": {"from": "x", "files": {"to": {"tar": "out.tar"}}}, "image": {"from": "x", "image": {"to": {"oci": "dist"}}}}
    ws.write({"build.yaml": BASE + spec_of(steps={"x": step}, outputs=outputs)})
    ws.run()
    digest = manifest(ws.root / "dist")
    ws.run("--no-cache=//:x")
    assert manifest(ws.root / "dist") == digest
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    return tree_of(ws.root / "out.tar")


def test_a_hundred_thousand_files(ws: Workspace):
    ws.write(
        {"build.yaml": BASE + spec_of(steps={"x": {"from": "base", "run": "mkdir /m; cd /m; seq 100000 | while read i; do : > $i; done"}})}
    )
    ws.run(":x")
    assert "100000" in ws.ok("shell", ":x", "--", "sh", "-c", "ls /m | wc -l").out
    ws.ok("cache", "gc", "--max-size=0")
    assert os.listdir(ws.store / "layers") == os.listdir(ws.store / "trash") == []


def test_special_files(ws: Workspace):
    if os.geteuid() != 0:
        pytest.skip("making devices needs root")
    busybox = "/usr/bin/busybox"
    tree = made(
        ws,
        f"{busybox} mknod /null c 1 3; {busybox} mknod /loop b 7 0; {busybox} mkfifo /fifo; chown bob /fifo; "
        "echo a > /a; ln /a /b; mkdir /d; ln /a /d/c; ln -s nowhere /s; ln /s /s2; "
        "dd if=/dev/zero of=/sparse bs=1 count=1 seek=100M; echo end >> /sparse",
    )
    assert (tree["null"].ischr(), tree["null"].devmajor, tree["null"].devminor) == (True, 1, 3)
    assert (tree["loop"].isblk(), tree["loop"].devmajor) == (True, 7)
    assert (tree["fifo"].isfifo(), tree["fifo"].uid) == (True, 1000)
    assert (tree["b"].islnk(), tree["d/c"].islnk(), tree["s2"].linkname) == (True, True, "nowhere")
    assert tree["sparse"].size == 100 * (1 << 20) + 5
    (sparse,) = (ws.store / "layers").glob("*/sparse")
    assert sparse.stat().st_blocks * 512 < 1 << 20


def test_a_socket_that_a_step_leaves_is_in_no_layer(ws: Workspace):
    tree = made(ws, "/usr/bin/busybox timeout 1 /usr/bin/busybox nc -l -U /socket || true; echo x > /x")
    assert "x" in tree
    assert "socket" not in tree


def test_a_step_that_moves_usr(ws: Workspace):
    """bin is a link to usr/bin: after the move there is no sh, and what was moved is all in the layer."""
    tree = made(ws, "exec /usr/bin/busybox mv /usr /usr2")
    assert tree["usr2/bin/busybox"].size > 100_000
    assert not any(name == "usr" or name.startswith("usr/") for name in tree)
    assert ws("shell", ":x", "--", "/usr2/bin/busybox", "true").code == 0


@contextlib.contextmanager
def meanwhile(act: Callable[[int], object]) -> Iterator[None]:
    """Do something again and again while the block lasts."""
    done = threading.Event()

    def again() -> None:
        turn = 0
        while not done.wait(0.0005):
            turn += 1
            with contextlib.suppress(FileNotFoundError):
                act(turn)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def vanish(path: Path, turn: int) -> None:
    if turn % 2:
        path.unlink()
    else:
        path.write_bytes(os.urandom(1000))


def grow(path: Path, turn: int) -> None:
    with path.open("ab" if turn % 200 else "wb") as file:
        file.write(b"more" * 5000)


def replace(path: Path, turn: int) -> None:
    other = path.with_name("other")
    other.write_bytes(b"%d" % turn * 5000)
    other.rename(path)


def change_kind(path: Path, turn: int) -> None:
    if stat.S_ISDIR(path.lstat().st_mode):
        path.rmdir()
        path.symlink_to("/etc/passwd")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("act", [vanish, grow, replace, change_kind])
def test_a_source_that_changes_is_taken_whole_or_refused(ws: Workspace, act: Callable[[Path, int], None]):
    spec = 'steps: {x: {copy: {files: ["src/**"], to: /}}}\noutputs: {o: {from: x, files: {to: {tar: out.tar}}}, i: {from: x, image: {to: {oci: dist}}}}\n'
    ws.write({"build.yaml": spec, **{f"src/{number}": b"x" * 20_000 for number in range(200)}, "src/moving": b"a" * 20_000})
    moving = ws.root / "src/moving"
    with meanwhile(lambda turn: act(moving, turn)):
        for _ in range(CHURNS):
            done = ws("run")
            assert done.code in (0, 2), done
            assert "Traceback" not in done.err
            if done.code == 2:
                assert "src/" in done.err, done
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    if moving.is_dir():
        moving.rmdir()
    moving.unlink(missing_ok=True)
    moving.write_bytes(b"final")
    ws.run()
    assert tree_of(ws.root / "out.tar")["src/moving"].size == 5


def test_workspaces_beside_each_other_on_one_store(workspaces):
    spec = (
        BASE
        + """\
steps:
  same: {from: base, run: "seq 20000 > /same"}
  mine: {from: same, copy: {files: mine, to: /}}
  made: {from: mine, run: "cat /same /mine > /made"}
outputs: {image: {from: made, image: {to: {oci: dist}}}}
"""
    )
    alone = [workspaces(f"alone{number}", store=f"store{number}") for number in range(3)]
    together = [workspaces(f"together{number}", store="shared") for number in range(3)]
    for number, (first, second) in enumerate(zip(alone, together, strict=True)):
        for ws in (first, second):
            ws.write({"build.yaml": spec, "mine": f"of {number}\n"})
    for ws in alone:
        ws.run()
    ended: list[int] = []
    threads = [threading.Thread(target=lambda ws=ws: ended.append(ws("run").code)) for ws in together]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert together[0]("cache", "gc", "--max-size=0").code == 0
    assert ended == [0, 0, 0]
    assert [manifest(ws.root / "dist") for ws in together] == [manifest(ws.root / "dist") for ws in alone]
    assert together[0].ok("cache", "verify").out == "the store is intact\n"
