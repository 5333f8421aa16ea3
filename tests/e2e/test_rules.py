"""Every attribute of the built-in rules, seen in what comes out."""

import hashlib
import json
import os
import re
import shutil
import stat
import tarfile
from pathlib import Path

import pytest
from workspaces import BASE, Workspace, config_of, layers_of, manifest, spec_of, tar_of, tree_of


def copied(ws: Workspace, spec: dict, files: dict | None = None, **common: object) -> dict[str, tarfile.TarInfo]:
    """What a copy puts on nothing, as a tar's members."""
    ws.write(files or {})
    steps = {"copied": {"copy": spec, **common}}
    outputs = {"out": {"from": "copied", "files": {"to": {"tar": "out.tar"}}}}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, outputs=outputs)})
    ws.run()
    return tree_of(ws.root / "out.tar")


def names(members: dict[str, tarfile.TarInfo]) -> set[str]:
    return {name for name, member in members.items() if not member.isdir()}


# run


def test_env_user_and_workdir(ws: Workspace):
    said = ws.sh('echo "$(id) $(pwd) $GREETING" > /out', env={"GREETING": "hi $HOME"}, workdir="/home")
    assert said == "uid=0(root) gid=0(root) /home hi $HOME\n"


def test_a_named_user_has_its_ids_and_groups(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
steps:
  room: {from: base, run: mkdir /room && chown bob /room}
  who: {from: room, user: bob, run: "echo $(id -u) $(id -g) $(id -G) $HOME > /room/who"}
outputs:
  out: {from: who, files: {paths: /room, to: {tar: out.tar}}}
"""
        }
    )
    ws.run()
    with tarfile.open(ws.root / "out.tar") as tar:
        who = tar.getmember("room/who")
        assert (who.uid, who.gid) == (1000, 1001)
        assert tar.extractfile(who).read() == b"1000 1001 1001 29 /home/bob\n"


def test_a_shell_of_ones_own_and_a_list_that_needs_none(ws: Workspace):
    assert ws.sh("echo $0 $- > /out", shell=["/bin/sh", "-e", "-c"]).split() in (["/bin/sh", "ce"], ["/bin/sh", "ec"])
    assert ws.sh(["cp", "/etc/group", "/out"]).startswith("root:x:0:")


def test_the_callers_environment_does_not_reach_a_step(ws: Workspace):
    ws.environment["LEAK"] = "leaked"
    assert "leaked" not in ws.sh("env > /out")


def test_no_network_means_none(ws: Workspace):
    links = re.findall(r"^\d+: (\w+)", ws.sh("ip -o link > /out"), re.MULTILINE)
    assert links == ["lo"]


def test_the_hosts_network_is_the_hosts(ws: Workspace):
    here = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    there = {line.split(":")[0].strip() for line in ws.sh("cat /proc/net/dev > /out", network="host").splitlines()[2:]}
    assert there == here


def test_a_timeout_is_said(ws: Workspace):
    ws.write({"build.yaml": BASE + "steps: {slow: {from: base, run: sleep 60, timeout: 1s}}\n"})
    assert "timed out after 1 s" in ws.fails("run", ":slow")


def test_mounts_show_files_folders_and_other_targets_and_leave_nothing(ws: Workspace):
    ws.write(
        {
            "a.txt": "A",
            "dir/b.txt": "B",
            "build.yaml": BASE
            + """\
steps:
  tool: {from: base, run: mkdir -p /opt/tool && echo T > /opt/tool/t}
  made:
    from: base
    run: cat /m/a /m/dir/b.txt /m/tool/t /m/file > /out; echo no > /m/a || echo read-only >> /out; echo yes > /m/w && cat /m/w >> /out
    mounts:
      - {bind: a.txt, to: /m/a}
      - {bind: a.txt, to: /m/w, writable: true}
      - {bind: dir, to: /m/dir}
      - {bind: /opt/tool, from: tool, to: /m/tool}
      - {bind: /opt/tool/t, from: tool, to: /m/file}
outputs:
  out: {from: made, files: {to: {tar: out.tar}}}
""",
        }
    )
    ws.run()
    with tarfile.open(ws.root / "out.tar") as tar:
        assert tar.extractfile("out").read() == b"ABT\nT\nread-only\nyes\n"
        assert not [name for name in tar.getnames() if name.startswith("m/")]
    assert (ws.root / "a.txt").read_text() == "A"


def test_a_cache_outlives_its_step_and_is_in_no_layer(ws: Workspace):
    mount = [{"cache": "kept", "to": "/cache"}]
    assert ws.sh("echo one > /cache/x; ls /cache > /out", mounts=mount) == "x\n"
    assert ws.sh("cat /cache/x > /out", mounts=mount) == "one\n"
    for sharing in ("locked", "shared"):
        assert ws.sh(f"ls /cache > /out; # {sharing}", mounts=[{"cache": "kept", "to": "/cache", "sharing": sharing}]) == "x\n"
    assert ws.sh("ls /cache > /out", mounts=[{"cache": "other", "to": "/cache"}]) == ""


def test_tmpfs_is_empty_and_gone_afterwards(ws: Workspace):
    said = ws.sh(
        "grep ' /scratch ' /proc/mounts > /out; ls /scratch >> /out; echo x > /scratch/x", mounts=[{"tmpfs": "/scratch", "size": "1m"}]
    )
    assert said.startswith("tmpfs /scratch tmpfs")
    assert "size=1024k" in said


def test_a_secret_is_seen_by_its_step_and_by_nobody_else(ws: Workspace, folder: Path):
    value = "hunter2-6ba7b810-9dad"
    (folder / "token").write_text(value)
    ws.write(
        {
            "build.yaml": BASE
            + """\
steps:
  made:
    from: base
    run: cat /run/secrets/token; echo $TOKEN; sha256sum /run/secrets/token > /sum; echo -n $OTHER | sha256sum >> /sum; stat -c %a /run/secrets/token >> /sum
    secrets: [token, {id: token, env: TOKEN}, {id: other, env: OTHER}]
outputs: {out: {from: made, image: {to: {oci: dist, docker: dist.tar}, compression: none}, tags: [x]}, sum: {from: made, files: {paths: /sum, to: {dir: sum}}}}
"""
        }
    )
    words = ("--secret", f"id=token,src={folder}/token", "--secret", "id=other,env=OTHER")
    assert "secret 'token' was not given" in ws.fails("run", code=2)
    done = ws.run(*words, "--events", str(folder / "events"), OTHER=value)
    digest = hashlib.sha256(value.encode()).hexdigest()
    assert (ws.root / "sum/sum").read_text() == f"{digest}  /run/secrets/token\n{digest}  -\n400\n"
    (folder / "token").unlink()
    assert value not in done.out + done.err
    holders = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and value.encode() in path.read_bytes()]
    assert holders == []
    (folder / "token").write_text("another value")
    assert ws.built(*words, OTHER="changed") == set()  # a value is in no key


# copy


def test_globs_choose_and_keep_paths(ws: Workspace):
    files = {"src/a.py": "", "src/deep/b.py": "", "src/test_a.py": "", "src/deep/c.txt": "", "src/x/y/z.py": "", "top.py": ""}
    assert names(copied(ws, {"files": ["src/**/*.py", "!**/test_*"], "to": "/app"}, files)) == {
        "app/src/a.py",
        "app/src/deep/b.py",
        "app/src/x/y/z.py",
    }
    assert names(copied(ws, {"files": "src/deep", "to": "/app", "strip": "src"})) == {"app/deep/b.py", "app/deep/c.txt"}
    assert names(copied(ws, {"files": ["src", "!src/**", "src/test_?.py"], "to": "/"})) == {"src/test_a.py"}
    assert names(copied(ws, {"files": "top.py", "to": "/bin"})) == {"bin/top.py"}
    (ws.root / "top.py").unlink()
    assert "no such file or folder: top.py" in ws.fails("run", code=2)


def test_the_ignore_file_leaves_out(ws: Workspace):
    files = {
        "src/a": "",
        "src/b.log": "",
        "src/keep.log": "",
        "src/node_modules/x": "",
        ".graphbuildignore": "*.log\n!keep.log\nnode_modules/\n",
    }
    assert names(copied(ws, {"files": "src", "to": "/"}, files)) == {"src/a", "src/keep.log"}


def test_owners_and_modes(ws: Workspace):
    plain = copied(ws, {"files": "src", "to": "/app"}, {"src/a": "", "src/d/b": ""})
    assert {(m.uid, m.gid, m.mode) for n, m in plain.items() if m.isfile()} == {(0, 0, 0o644)}
    numeric = copied(ws, {"files": "src", "to": "/app", "chown": "7:8", "chmod": "0640"})
    assert {(m.uid, m.gid, m.mode) for m in numeric.values() if m.isfile()} == {(7, 8, 0o640)}
    assert (numeric["app/src/d"].uid, numeric["app/src/d"].mode) == (7, 0o750)
    named = copied(ws, {"files": "src", "to": "/app", "chown": "bob:audio"}, **{"from": "base"})
    assert (named["app/src/a"].uid, named["app/src/a"].gid) == (1000, 29)


def test_a_named_owner_needs_a_base_to_look_it_up_in(ws: Workspace):
    ws.write({"a": "", "build.yaml": "steps: {c: {copy: {files: a, chown: bob}}}\n"})
    assert "no base to look it up in" in ws.fails("run", ":c", code=2)


def test_a_destination_is_resolved_in_the_base_and_tmp_stays_sticky(ws: Workspace):
    ws.write(
        {
            "tool": "x",
            "build.yaml": BASE
            + """\
steps:
  tools: {from: base, copy: {files: tool, to: /bin}}
  temps: {from: tools, copy: {files: tool, to: /tmp/deep}}
  looks: {from: temps, run: "readlink /bin > /out; ls /usr/bin/tool >> /out; stat -c %a /tmp >> /out; stat -c %a /tmp/deep >> /out"}
outputs:
  image: {from: temps, image: {to: {oci: dist}}}
  out: {from: looks, files: {paths: /out, to: {dir: out}}}
""",
        }
    )
    ws.run()
    assert (ws.root / "out/out").read_text() == "usr/bin\n/usr/bin/tool\n1777\n755\n"
    _, tools, temps, *_ = layers_of(ws.root / "dist")
    assert tools == ["usr/bin/tool"]
    assert temps == ["tmp/deep/tool"]


def test_copying_from_another_target_keeps_owners_modes_and_links(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
steps:
  made: {from: base, run: "mkdir -p /o/d && echo x > /o/x && chown 5:6 /o/x && chmod 4711 /o/x && ln /o/x /o/d/hard && ln -s x /o/soft"}
  took: {copy: {from: made, files: ["/o/**", "!/o/none"], to: /new, strip: /o}}
outputs: {out: {from: took, files: {to: {tar: out.tar}}}}
"""
        }
    )
    ws.run()
    found = tree_of(ws.root / "out.tar")
    first = next(member for member in found.values() if member.isfile())
    assert (first.uid, first.gid, first.mode) == (5, 6, 0o4711)
    assert found["new/soft"].linkname == "x"
    assert sum(member.islnk() for member in found.values()) == 1


# union

OVERLAP = """\
bases: {one: {tar: one.tar}, two: {tar: two.tar}}
steps: {both: {from: [one, two], union: {}%s}}
outputs: {out: {from: both, files: {to: {dir: out}}}}
"""


def test_an_overlap_names_both_targets_and_the_path_and_the_last_may_win(ws: Workspace):
    ws.write(
        {"one.tar": tar_of({"same": b"s", "etc/x": b"1"}), "two.tar": tar_of({"same": b"s", "etc/x": b"2"}), "build.yaml": OVERLAP % ""}
    )
    said = ws.fails("run", code=2)
    for word in ("//:one", "//:two", "/etc/x", "build.yaml:2"):
        assert word in said, said
    assert "/same" not in said
    ws.write({"build.yaml": OVERLAP % ", overlap: last-wins"})
    ws.run()
    assert (ws.root / "out/etc/x").read_text() == "2"


def test_a_folder_never_covers_a_symlink(ws: Workspace):
    ws.write({"one.tar": tar_of({"bin": "usr/bin", "usr/bin/a": b""}), "two.tar": tar_of({"bin/": b"", "bin/b": b""})})
    ws.write({"build.yaml": OVERLAP % ", overlap: last-wins"})
    said = ws.fails("run", code=2)
    for word in ("//:one", "//:two", "/bin", "usr/bin"):
        assert word in said, said


# bases


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zst"])
def test_a_tar_base_of_every_compression(ws: Workspace, mode: str):
    import zstandard

    plain = tar_of({"f": b"content"}, "w" if mode == "zst" else mode)
    ws.write({"rootfs": zstandard.compress(plain) if mode == "zst" else plain})
    ws.write({"build.yaml": "bases: {b: {tar: rootfs}}\noutputs: {out: {from: b, files: {to: {dir: out}}}}\n"})
    ws.run()
    assert (ws.root / "out/f").read_text() == "content"


def test_a_base_that_is_no_tar_is_refused(ws: Workspace):
    ws.write(
        {"rootfs": "certainly no tar" * 100, "build.yaml": "bases: {b: {tar: rootfs}}\noutputs: {o: {from: b, files: {to: {dir: out}}}}\n"}
    )
    assert "rootfs" in ws.fails("run", code=2)


def test_a_base_by_url_is_checked_and_fetched_once(ws: Workspace, server):
    body = tar_of({"f": b"fetched"}, "w:gz")
    url, asked = server({"/base.tgz": body})
    spec = "bases: {{b: {{tar: {{url: '{}/base.tgz', sha256: '{}'}}}}}}\noutputs: {{o: {{from: b, files: {{to: {{dir: out}}}}}}}}\n"
    ws.write({"build.yaml": spec.format(url, "0" * 64)})
    assert hashlib.sha256(body).hexdigest() in ws("run").err
    ws.write({"build.yaml": spec.format(url, hashlib.sha256(body).hexdigest())})
    asked.clear()
    ws.run()
    ws.run("-j2")
    assert asked == ["/base.tgz"]
    assert (ws.root / "out/f").read_text() == "fetched"
    assert "offline" in ws("run", "--offline", "--store", f"{ws.store}-empty").err


SOURCE = """\
steps: {made: {from: base, run: echo made > /made}}
outputs:
  source:
    from: made
    image: {config: {env: {FROM: source}, cmd: [/bin/ls], user: bob}, tags: ["example/source:1"], to: {oci: layout, archive: a.oci.tar, docker: d.tar}}
"""


@pytest.mark.parametrize("form", ["layout", "a.oci.tar", "d.tar", "skopeo-dir", "skopeo.tar"])
def test_an_image_is_a_base_from_a_layout_an_archive_and_docker_save(ws: Workspace, form: str):
    ws.write({"make/build.yaml": BASE.replace("base.tar", "//base.tar") + SOURCE})
    ws.run("//make:source")
    made = {"skopeo-dir": "oci:{}", "skopeo.tar": "docker-archive:{}"}.get(form)
    if made:
        _skopeo(f"oci:{ws.root}/make/layout:1", made.format(ws.root / "make" / form) + ":example/source:1")
    ws.write(
        {
            "build.yaml": f"""\
bases: {{b: {{oci: {{path: make/{form}}}}}}}
steps: {{x: {{from: b, user: root, run: "cat /made > /out; echo $FROM >> /out"}}}}
outputs:
  out: {{from: x, files: {{paths: /out, to: {{dir: out}}}}}}
  again: {{from: b, image: {{to: {{oci: dist}}}}}}
"""
        }
    )
    ws.run()
    assert (ws.root / "out/out").read_text() == "made\nsource\n"
    config = config_of(ws.root / "dist")
    assert config["config"]["Cmd"] == ["/bin/ls"]
    assert config["config"]["User"] == "bob"
    assert config["rootfs"] == config_of(ws.root / "make/layout")["rootfs"]


def _skopeo(source: str, destination: str) -> None:
    import subprocess

    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo")
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", source, destination], check=True, capture_output=True)


def test_an_image_is_chosen_by_tag_digest_and_platform(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
steps: {one: {from: base, run: echo one > /which}, two: {from: base, run: echo two > /which}}
outputs:
  a: {from: one, image: {tags: ["example/x:one"], to: {oci: one}}}
  b: {from: two, image: {tags: ["example/x:two"], to: {oci: two}}}
"""
        }
    )
    ws.run()
    layout = ws.root / "pick/all"
    shutil.copytree(ws.root / "one", layout)
    shutil.copytree(ws.root / "two/blobs", layout / "blobs", dirs_exist_ok=True)
    indexes = [json.loads((ws.root / name / "index.json").read_text()) for name in ("one", "two")]
    both = [index["manifests"][0] for index in indexes]
    (layout / "index.json").write_text(json.dumps({**indexes[0], "manifests": both}))
    spec = "bases: {{b: {{oci: {{path: {}{}}}}}}}\noutputs: {{out: {{from: b, files: {{paths: /which, to: {{dir: out}}}}}}}}\n"
    for reference, expected in (("example/x:one", "one"), ("example/x:two", "two"), (both[1]["digest"], "two")):
        ws.write({"pick/build.yaml": spec.format("all", f", reference: '{reference}'")})
        ws.run("//pick:out")
        assert (ws.root / "pick/out/which").read_text() == f"{expected}\n"
    ws.write({"pick/build.yaml": spec.format("all", "")})
    assert "example/x:two" in ws.fails("run", "//pick:out", code=2)
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    index["manifests"] = [
        {**{key: d[key] for key in ("mediaType", "digest", "size")}, "platform": p} for d, p in zip(both, platforms, strict=True)
    ]
    (layout / "index.json").write_text(json.dumps(index))
    for platform, expected in (("linux/amd64", "one"), ("linux/arm64", "two")):
        ws.write({"pick/build.yaml": spec.format("all", f", platform: {platform}")})
        done = ws("run", "//pick:out")
        assert done.code == 0 or "amd64" in done.err, done
        if done.code == 0:
            assert (ws.root / "pick/out/which").read_text() == f"{expected}\n"


# outputs


def test_an_images_config_labels_annotations_tags_and_formats(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
steps: {made: {from: base, run: echo x > /x, env: {A: "1"}, user: root, workdir: /srv}}
outputs:
  web:
    from: made
    image:
      config:
        entrypoint: [/bin/sh, -c]
        cmd: ["echo hi"]
        env: {B: "2"}
        user: "1000:1000"
        workdir: /app
        expose: [8080, 53/udp]
        volumes: [/data]
        labels: {one: "1"}
        stop_signal: SIGINT
        author: us
        healthcheck: {test: "true", interval: 5, retries: 2}
      labels: {two: "2"}
      annotations: {org.opencontainers.image.title: web}
      tags: ["registry.example/web:1", "registry.example/web:latest"]
      to: {oci: o, archive: a.tar, docker: d.tar}
"""
        }
    )
    ws.run()
    config = config_of(ws.root / "o")
    assert config["author"] == "us"
    assert config["config"] == {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo hi"],
        "Env": ["A=1", "B=2"],
        "User": "1000:1000",
        "WorkingDir": "/app",
        "ExposedPorts": {"53/udp": {}, "8080/tcp": {}},
        "Volumes": {"/data": {}},
        "Labels": {"one": "1", "two": "2"},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2},
    }
    digest = manifest(ws.root / "o")
    found = json.loads((ws.root / "o/blobs" / digest.replace(":", "/")).read_text())
    assert found["annotations"]["org.opencontainers.image.title"] == "web"
    with tarfile.open(ws.root / "d.tar") as tar:
        (described,) = json.load(tar.extractfile("manifest.json"))
        assert described["RepoTags"] == ["registry.example/web:1", "registry.example/web:latest"]
    with tarfile.open(ws.root / "a.tar") as tar:
        assert {entry["digest"] for entry in json.load(tar.extractfile("index.json"))["manifests"]} == {digest}
    if shutil.which("skopeo"):
        _skopeo(f"oci-archive:{ws.root}/a.tar:1", f"oci:{ws.root}/copy")
        assert config_of(ws.root / "copy") == config


def test_files_as_a_folder_are_exactly_these_and_never_on_top_of_others(ws: Workspace):
    ws.write({"a": "1", "b": "2", "build.yaml": "steps: {c: {copy: [a, b]}}\noutputs: {o: {from: c, files: {to: {dir: out}}}}\n"})
    ws.run()
    assert sorted(os.listdir(ws.root / "out")) == ["a", "b"]
    ws.write({"build.yaml": "steps: {c: {copy: [a]}}\noutputs: {o: {from: c, files: {to: {dir: out}}}}\n"})
    ws.run()
    assert os.listdir(ws.root / "out") == ["a"]
    ws.write({"mine/precious": "p", "build.yaml": "steps: {c: {copy: [a]}}\noutputs: {o: {from: c, files: {to: {dir: mine}}}}\n"})
    ws.fails("run", code=2)
    assert (ws.root / "mine/precious").read_text() == "p"


# graph


def test_matrix_variants_and_variables(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
vars: {greeting: "hello ${who}", who: you}
steps:
  made: {from: base, matrix: {os: [a, b], nr: ["1", "2"]}, run: "echo ${greeting} ${os}${nr} > /made"}
outputs:
  out: {from: made, matrix: {os: [a, b], nr: ["1", "2"]}, files: {paths: /made, to: {dir: "out/${os}${nr}"}}}
"""
        }
    )
    ws.run("--set", "who=me")
    assert {name: (ws.root / "out" / name / "made").read_text() for name in os.listdir(ws.root / "out")} == {
        f"{name}": f"hello me {name}\n" for name in ("a1", "a2", "b1", "b2")
    }
    assert ws.statuses(":out[nr=2,os=b]", "--set", "who=me") == {
        "//:base#import": "cached",
        "//:made[nr=2,os=b]#run": "cached",
        "//:out[nr=2,os=b]#dir": "cached",
    }
    assert "variants" in ws.fails("run", ":out[os=c]", code=2)


def test_labels_and_patterns_across_packages_and_manual_targets(ws: Workspace):
    output = "outputs: {{{}: {{from: {}, files: {{paths: /etc/group, to: {{dir: out}}}}{}}}}}\n"
    ws.write(
        {
            "build.yaml": BASE,
            "svc/a/build.yaml": output.format("x", "//:base", ""),
            "svc/b/build.yaml": output.format("w", "//:base", ""),
            "svc/c/build.yaml": output.format("z", "//:base", ", tags: [manual]"),
        }
    )

    def targets(*words: str, **options: str) -> list[str]:
        return sorted({name.partition("#")[0] for name in ws.statuses(*words, **options)} - {"//:base"})

    assert targets("//svc/...") == ["//svc/a:x", "//svc/b:w"]
    assert targets("//...", "-//svc/a:x") == ["//svc/b:w"]
    assert targets("//svc/a:all") == ["//svc/a:x"]
    assert targets("//svc/c:z") == ["//svc/c:z"]
    assert "//svc/a:x" in ws("run", "--events=-", cwd="svc/a").out
    assert "//svc/a:x" in ws("run", "--events=-", ":x", cwd="svc/a").out


PLUGIN = '''
"""Text files."""
import msgspec
from graphbuild.rules import Assemble, FilePart, Rule, layer_target

class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    content: str = "default"

def text(context, attributes):
    return layer_target(context, Assemble((FilePart(attributes.path, attributes.content.encode()),)))

RULES = (Rule("text", "step", Text, text, short="path"),)
'''


def test_a_plugin_of_the_workspace_adds_a_rule(ws: Workspace):
    spec = "steps: {t: {text: {path: note, content: %s}}}\noutputs: {o: {from: t, files: {to: {dir: out}}}}\n"
    ws.write({"plugins/text.py": PLUGIN, "build.yaml": spec % "hello"})
    ws.run()
    assert (ws.root / "out/note").read_text() == "hello"
    ws.write({"plugins/text.py": PLUGIN.replace("attributes.content", "attributes.content.upper()")})
    ws.run()
    assert (ws.root / "out/note").read_text() == "HELLO"
    ws.write({"plugins/text.py": "raise ValueError('broken')"})
    assert "plugin 'text'" in ws("run").err


def test_modes_of_what_is_taken_out(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + "steps: {x: {from: base, run: 'echo 1 > /exe; chmod 755 /exe'}}\noutputs: {o: {from: x, files: {paths: /exe, to: {dir: out}}}}\n"
        }
    )
    ws.run()
    assert stat.S_IMODE((ws.root / "out/exe").stat().st_mode) == 0o755
