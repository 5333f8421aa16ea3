"""An ordinary user builds what root builds, with ids of its own or without, and cleans up after itself."""

import os
import tarfile

import pytest
from workspaces import BASE, Workspace, manifest, settle, spec_of, tree_of

SPEC = (
    BASE
    + """\
steps:
  own:
    from: base
    run: |
      mkdir -p /o/d /o/closed && echo x > /o/x && ln /o/x /o/hard && ln -s x /o/soft && cat /srv/key > /o/y && echo y > /o/closed/y
      chown 5:6 /o/x && chmod 4711 /o/x && chown -R bob /o/d && chmod 0 /o/closed
  who:
    from: own
    user: USER
    run: id > /o/d/who && echo kept >> /cache/log
    mounts: [{cache: shared, to: /cache, uid: UID}]
  code: {copy: {files: ["src/**"], to: /app, strip: src, chown: "1000:1001", chmod: "0640"}}
  took: {copy: {files: ["/o/**", "!/o/closed", "!/o/closed/**"], from: own, to: /took, strip: /o}}
  whole: {from: [who, code, took], union: {}}
outputs:
  image: {from: whole, image: {config: {user: bob}, to: {oci: dist/image, archive: dist/oci.tar, docker: dist/docker.tar}}}
  files: {from: whole, files: {paths: [/o/d, /app], to: {dir: dist/files}}}
  tree: {from: whole, files: {to: {tar: dist/tree.tar}}}
"""
)
AS_BOB = SPEC.replace("USER", "bob").replace("UID", "1000")
AS_ROOT = SPEC.replace("USER", "root").replace("UID", "0")
WITHOUT_STEPS = (
    BASE
    + """\
steps:
  code: {from: base, copy: {files: ["src/**"], to: /app, chown: bob, chmod: "0640"}}
  took: {copy: {files: /srv/*, from: base, to: /took}}
outputs:
  image: {from: [code, took], image: {to: {oci: dist/image, archive: dist/oci.tar, docker: dist/docker.tar}}}
  tree: {from: [code, took], files: {to: {tar: dist/tree.tar}}}
"""
)


def prepared(ws: Workspace, spec: str = AS_ROOT) -> Workspace:
    ws.write({"build.yaml": spec, "src/a": "a", "src/deep/b": "b"})
    return ws


def written(ws: Workspace) -> list[bytes]:
    return [(ws.root / "dist" / name).read_bytes() for name in ("image/index.json", "oci.tar", "docker.tar", "tree.tar")]


def owners(ws: Workspace, *names: str) -> list[tuple[int, int, int]]:
    """Owner, group and mode of files in the exported tree."""
    tree = tree_of(ws.root / "dist/tree.tar")
    return [(tree[name].uid, tree[name].gid, tree[name].mode) for name in names]


def test_with_a_range_of_ids_every_byte_is_roots(full: Workspace, root: Workspace):
    prepared(full, AS_BOB).run()
    prepared(root, AS_BOB).run()
    assert written(full) == written(root)
    assert owners(full, "srv/key", "srv/tool", "o/d/who") == [(33, 33, 0o600), (1000, 1001, 0o4755), (1000, 1001, 0o644)]
    assert owners(full, "o/x", "took/hard", "o/closed", "app/deep/b") == [(5, 6, 0o4711), (5, 6, 0o4711), (0, 0, 0), (1000, 1001, 0o640)]


def test_what_runs_no_step_has_the_same_bytes_with_one_id_too(user: Workspace, root: Workspace):
    prepared(user, WITHOUT_STEPS).run()
    prepared(root, WITHOUT_STEPS).run()
    assert written(user) == written(root)


def test_with_one_id_a_steps_owners_are_root_and_the_others_stay(single: Workspace):
    prepared(single).run()
    assert owners(single, "o/x", "o/hard", "took/x", "o/d") == [(0, 0, 0o4711), (0, 0, 0o4711), (0, 0, 0o4711), (0, 0, 0o755)]
    assert owners(single, "srv/key", "srv/tool", "app/deep/b") == [(33, 33, 0o600), (1000, 1001, 0o4755), (1000, 1001, 0o640)]


def test_with_one_id_another_user_is_refused_with_the_fix(single: Workspace):
    step = {"from": "base", "run": "id", "user": "bob"}
    single.write({"build.yaml": BASE + spec_of(steps={"x": step})})
    said = single.fails("run", ":x", code=36)
    for words in ("declared at build.yaml:3", "user 'bob' is 1000:1001, which is not mapped here", "usermod --add-subuids"):
        assert words in said, said
    assert "user 'bob'" in single.fails("shell", ":x", "--before", "-u", "bob", "--", "id", code=36)


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ({"cache": "kept", "to": "/kept", "uid": 1000}, "cache 'kept' belongs to 1000:0"),
        ({"secret": "token", "to": "/token", "gid": 29}, "secret /token belongs to 0:29"),
    ],
)
def test_with_one_id_a_mount_of_another_owner_is_refused_with_the_fix(single: Workspace, mount: dict, words: str):
    single.write({"build.yaml": BASE + spec_of(steps={"x": {"from": "base", "run": "id", "mounts": [mount]}})})
    said = single.fails("run", ":x", "--secret=id=token,env=TOKEN", code=36, TOKEN="hunter2")
    assert f"{words}, which is not mapped here" in said
    assert "usermod --add-subuids" in said


def test_files_belong_to_whoever_builds(user: Workspace):
    prepared(user).run()
    assert {path.lstat().st_uid for path in (user.root / "dist").rglob("*")} == {user.owner}
    assert (user.root / "dist/files/o/d/who").read_text().startswith("uid=0(root)")
    with tarfile.open(user.root / "dist/tree.tar") as tar:
        assert tar.extractfile("o/y").read() == b"abc"


def test_an_unchanged_build_is_cached_then_certified(user: Workspace):
    prepared(user).run()
    settle()
    assert set(user.statuses().values()) == {"cached"}
    user.run()
    assert user.run().certified


def test_the_store_is_verified_collected_and_filled_again(user: Workspace):
    prepared(user).run()
    before = manifest(user.root / "dist/image")
    assert user.ok("cache", "verify").out == "the store is intact\n"
    user.ok("cache", "gc", "--max-size=0")
    assert [name for name in ("layers", "blobs/sha256", "index", "logs", "tmp", "trash") if os.listdir(user.store / name)] == []
    assert "//:own#run" in user.built()
    assert manifest(user.root / "dist/image") == before


def test_damage_is_named_and_repaired(user: Workspace):
    prepared(user).run()
    before = manifest(user.root / "dist/image")
    (key,) = (path for path in (user.store / "layers").glob("*/srv/key"))
    key.write_text("xyz")
    found = user("cache", "verify")
    assert (found.code, found.out.splitlines()[0]) == (1, f"folder {key.parts[-3]}: /srv/key differs")
    user.ok("cache", "verify", "--repair")
    assert user.ok("cache", "verify").out == "the store is intact\n"
    (user.root / "dist/image/index.json").unlink()
    user.run("--no-cache=//:own")
    assert manifest(user.root / "dist/image") == before


def test_a_shell_runs_a_command_in_a_step(user: Workspace):
    prepared(user).run()
    done = user.ok("shell", ":whole", "--", "sh", "-c", "id -u; cat /srv/key; echo; cat /o/closed/y; ls -A /app; echo gone > /app/gone")
    assert done.out == "0\nabc\ny\na\ndeep\n"
    assert user("shell", ":whole", "--", "test", "-e", "/app/gone").code == 1
    assert user("shell", ":whole", "--", "sh", "-c", "exit 9").code == 9


def test_a_shell_of_another_user_needs_a_range(full: Workspace):
    prepared(full).run()
    assert full.ok("shell", ":own", "-u", "bob", "--", "id", "-u").out == "1000\n"
    assert full.ok("shell", ":own", "-u", "33:33", "--", "cat", "/srv/key").out == "abc"


def test_tests_run_and_see_the_owners_that_files_have(user: Workspace):
    check = {
        "files": [{"path": "/srv/key", "owner": "33:33", "mode": "0600"}],
        "commands": [{"run": "echo out; echo err >&2; echo x > /srv/x", "stdout": {"contains": "out", "excludes": "err"}, "stderr": "err"}],
    }
    user.write({"build.yaml": BASE + spec_of(tests={"t": {"from": "base", "check": check}, "bad": {"from": "base", "run": "exit 1"}})})
    done = user("test", "--progress=quiet", "--junit=junit.xml")
    assert (done.code, done.out.split()[:2]) == (3, ["//:t", "passed"]), done
    assert (user.root / "junit.xml").stat().st_uid == user.owner


def test_a_failed_step_is_told_and_can_be_looked_at(user: Workspace):
    user.write({"build.yaml": BASE + "steps: {x: {from: base, run: 'echo half > /srv/half; chmod 0 /srv; exit 7'}}\n"})
    said = user.fails("run", ":x")
    for words in ("declared at build.yaml:3", "exit code 7", "look inside: graphbuild shell //:x"):
        assert words in said, said
    done = user.ok("shell", ":x", "--", "cat", "/srv/half", "/srv/key")
    assert done.out == "half\nabc"
    assert user.ok("cache", "verify").out == "the store is intact\n"


def test_a_cache_mount_is_the_steps_users(full: Workspace):
    prepared(full, AS_BOB).run()
    full.run("--no-cache=//:who")
    assert full.sh("cat /cache/log > /out", mounts=[{"cache": "shared", "to": "/cache"}]) == "kept\nkept\n"


@pytest.mark.parametrize("place", ["/root/nowhere", "/etc"])
def test_a_store_where_the_user_has_no_rights_is_refused(user: Workspace, place: str):
    said = prepared(user).fails("run", "--store", place, code=36 if place == "/root/nowhere" else 2)
    assert "--store" in said
    assert place in said


def test_the_store_of_another_user_is_refused(user: Workspace, root: Workspace):
    prepared(root, WITHOUT_STEPS).run()
    root.store.chmod(0o755)
    said = prepared(user).fails("run", "--store", str(root.store), code=2)
    assert f"the store {root.store} belongs to another user" in said
    before = manifest(root.root / "dist/image")
    root.run()
    assert manifest(root.root / "dist/image") == before
