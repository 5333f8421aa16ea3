"""The same inputs give the same bytes: whoever builds, where, when and how."""

import os
from pathlib import Path

import pytest
from accounts import ordinary_user
from workspaces import BASE, Workspace, manifest

SPEC = (
    BASE
    + """\
steps:
  code: {copy: {files: ["src/**"], to: /app}}
  made:
    from: [base, code]
    run: |
      date > /date; ls -lR /app > /list; echo $RANDOM > /dev/null; cat /in > /copied; umask > /umask; env | sort > /env
      mkdir -p /many && for i in 1 2 3 4 5; do echo $i > /many/$i; done; ln /many/1 /many/hard; echo x > /tmp/x
    mounts: [{bind: in.txt, to: /in}]
  other: {from: base, run: date +%Z > /zone; pwd > /where; cat /proc/sys/kernel/hostname > /host}
  picked: {copy: {files: ["/many/*", /list], from: made, to: /picked}}
  all_of_it: {from: [made, other, picked], union: {}}
outputs:
  web:
    from: all_of_it
    image:
      config: {env: {B: "1", A: "2"}, labels: {z: w, a: b}, expose: [80, 8080], volumes: [/v, /a]}
      annotations: {org.example.b: "1", org.example.a: "2"}
      tags: ["example/web:1", "example/web:2"]
      to: {oci: dist/web, archive: dist/web.oci.tar, docker: dist/web.tar}
  tree: {from: all_of_it, files: {to: {tar: dist/tree.tar}}}
"""
)
FILES = {"build.yaml": SPEC.replace("date > /date; ", ""), "src/b.sh": "b", "src/a/c.txt": "c", "in.txt": "in", "src/exe": "#!/bin/sh\n"}


def built(ws: Workspace, *words: str, umask: int = 0o022, **environment: str) -> tuple[str, bytes, bytes, bytes, bytes]:
    """Everything that two builds may compare."""
    before = os.umask(umask)
    try:
        ws.write(FILES)
        (ws.root / "src/exe").chmod(0o777 & ~umask)
        (ws.root / "src/link").symlink_to("a/c.txt")
    finally:
        os.umask(before)
    ws.run(*words, **environment)
    dist = ws.root / "dist"
    names = ("web/index.json", "web.tar", "web.oci.tar", "tree.tar")
    return (manifest(dist / "web"), *((dist / name).read_bytes() for name in names))


@pytest.fixture
def reference(workspaces) -> tuple[str, bytes, bytes, bytes, bytes]:
    return built(workspaces("reference", store="reference-store"))


def test_place_umask_zone_language_jobs_and_hash_seed_change_nothing(workspaces, reference):
    ws = workspaces("another/place/with a space", store="deep/store")
    environment = {"TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77", "FOO": "bar"}
    assert built(ws, "-j7", umask=0o077, **environment) == reference


def test_one_job_under_the_c_locale_changes_nothing(workspaces, reference):
    assert built(workspaces("c", store="c-store"), "-j1", umask=0o002, LC_ALL="C", PYTHONHASHSEED="1") == reference


def test_building_again_without_the_cache_changes_nothing(workspaces, reference):
    ws = workspaces("again", store="reference-store")
    assert built(ws, "--no-cache") == reference


def test_an_ordinary_user_builds_the_same(workspaces, folder: Path, reference):
    prefix, uid = ordinary_user(folder, "full")
    (folder / "home").mkdir()
    os.chown(folder / "home", uid, uid)
    assert built(workspaces("home/ws", store="home/store", prefix=prefix, owner=uid)) == reference
