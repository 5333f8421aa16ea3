"""`put` and `directory`, and what else a build.yaml learned to say so that a Dockerfile can become one."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from repositories import Repository
from workspaces import BASE, Workspace, config_of, spec_of, tar_of, tree_of


def put(ws: Workspace, spec: dict, **common: object) -> dict[str, tarfile.TarInfo]:
    """What a put leaves on nothing, as a tar's members."""
    return members(ws, {"put": spec, **common})


def members(ws: Workspace, step: dict, head: str = BASE, **steps: dict) -> dict[str, tarfile.TarInfo]:
    outputs = {"out": {"from": "step", "files": {"to": {"tar": "out.tar"}}}}
    ws.write({"build.yaml": head + spec_of(steps={**steps, "step": step}, outputs=outputs)})
    ws.run()
    return tree_of(ws.root / "out.tar")


def text(ws: Workspace, name: str) -> str:
    with tarfile.open(ws.root / "out.tar") as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


def test_a_folder_means_what_is_in_it_and_modes_are_those_on_disk(ws: Workspace):
    ws.write({"src/a": "a", "src/sub/b": "b"})
    (ws.root / "src/a").chmod(0o640)
    found = put(ws, {"files": "src", "to": "/app/"})
    assert {name for name in found if name} == {"app", "app/a", "app/sub", "app/sub/b"}
    assert found["app/a"].mode == 0o640


def test_wildcards_choose_and_patterns_leave_out(ws: Workspace):
    ws.write({"a1": "", "a2": "", "d/b": "", "d/c": "", "ignored": "a2\n"})
    assert set(put(ws, {"files": ["a?", "d"], "to": "/x/", "exclude": ["b"], "ignore": "ignored"})) - {""} == {"x", "x/a1", "x/c"}


def test_a_folder_of_the_workspace_and_a_part_of_it(ws: Workspace):
    ws.write({"shared/deep/one.txt": "1", "shared/deep/two": "2"})
    entry = {"path": ".", "include": ["**/*.txt"]}
    assert set(put(ws, {"files": [entry], "folder": "//shared", "to": "/x/"})) - {""} == {"x", "x/deep", "x/deep/one.txt"}


def test_texts_downloads_and_archives(ws: Workspace, server):
    url, _ = server({"/tool.bin": b"tool"})
    ws.write({"made.tgz": tar_of({"in/file": b"in"}, "w:gz")})
    files = [
        {"name": "motd", "text": "hello\n", "mode": "0600"},
        {"url": f"{url}/tool.bin", "sha256": hashlib.sha256(b"tool").hexdigest()},
        {"path": "made.tgz", "unpack": True},
        "made.tgz",
    ]
    found = put(ws, {"files": files, "to": "/x/"})
    assert set(found) - {""} == {"x", "x/motd", "x/tool.bin", "x/in", "x/in/file", "x/made.tgz"}
    assert [found[f"x/{name}"].mode for name in ("motd", "tool.bin")] == [0o600, 0o600]
    assert text(ws, "x/motd") == "hello\n"


def test_files_of_git_repositories_and_of_several_places(ws: Workspace, folder: Path):
    repository = Repository(folder / "served")
    first = repository.commit({"deep/f": "one", "g": "g"})
    head = BASE + f"  repo: {{git: '{repository.url}'}}\n  part: {{git: {{url: '{repository.url}', commit: {first}, subdir: deep}}}}\n"
    ws.write({"a": "a"})
    files = [{"path": "/g", "from": "repo"}, {"path": "/", "from": "part"}, "a"]
    found = members(ws, {"put": {"files": files, "to": "/x/"}}, head)
    assert set(found) - {""} == {"x", "x/g", "x/f", "x/a"}


def test_owners_and_modes_of_all_that_is_made(ws: Workspace):
    ws.write({"a": "a"})
    found = put(ws, {"files": "a", "to": "/new/a", "chown": "7:8", "chmod": "u=rw,go="})
    assert (found["new/a"].mode, found["new/a"].uid, found["new/a"].gid) == (0o600, 7, 8)


def test_a_place_is_looked_up_below_unless_it_is_a_link(ws: Workspace):
    ws.write({"a": "a"})
    made = {"from": "base", "run": "mkdir /real && ln -s /real /door"}
    found = members(ws, {"from": "made", "put": {"files": "a", "to": "/door/"}}, made=made)
    assert "real/a" in found
    found = members(ws, {"from": "made", "put": {"files": "a", "to": "/door/", "link": True}}, made=made)
    assert {"door/a"} <= set(found)
    assert "real/a" not in found


def test_what_is_linked_waits_for_nothing(ws: Workspace):
    ws.write({"a": "a"})
    slow = {"from": "base", "run": "exit 3"}
    spec = spec_of(steps={"slow": slow, "linked": {"from": "slow", "put": {"files": "a", "to": "/x/", "link": True}}})
    ws.write({"build.yaml": BASE + spec})
    assert ws.statuses(":linked", "-k", code=1)["//:linked#put"] == "built"


def test_a_directory_is_made_once(ws: Workspace):
    made = {"from": "base", "directory": {"path": "/a/b", "chown": "5:6", "chmod": "0700"}}
    found = members(ws, {"from": "made", "directory": "/a/b"}, made=made)
    assert (found["a/b"].mode, found["a/b"].uid, found["a/b"].gid) == (0o700, 5, 6)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"put": {"files": [], "to": "/"}}, "`files` names nothing"),
        ({"put": {"files": "a", "to": "x"}}, "absolute, not 'x'"),
        ({"put": {"files": "none", "to": "/x"}}, '"/none": not found'),
        ({"put": {"files": "../a", "to": "/x", "folder": ".."}}, "leaves its package"),
        ({"put": {"files": "a", "to": "/x", "chmod": "rw"}}, "'rw' is no mode"),
        ({"put": {"files": "a", "to": "/x", "ignore": "none"}}, "no such file: none"),
        ({"put": {"files": "/a", "from": "base", "folder": "x", "to": "/x"}}, "`folder` is about files of the workspace"),
        ({"put": {"files": [{"text": "a"}], "to": "/x/"}}, "needs a `name`"),
        ({"put": {"files": [{"text": "a", "name": ".."}], "to": "/x/"}}, "needs a `name`, without slashes"),
        ({"put": {"files": [{"text": "a", "path": "b"}], "to": "/x/"}}, "one of `path`, `text` and `url`"),
        ({"put": {"files": [{"path": "b", "mode": "rw"}], "to": "/x/"}}, "'rw' is not an octal mode"),
        ({"put": {"files": [{"url": "ftp://x/y"}], "to": "/x/"}}, "not an http or https URL"),
        ({"put": {"files": [{"url": "http://x/y", "sha256": "1"}], "to": "/x/"}}, "'1' is not a SHA-256"),
        ({"directory": "x"}, "absolute, not 'x'"),
        ({"from": "base", "run": {"command": "true", "env": {"A=": "b"}}}, "'A=' cannot be set"),
        ({"from": "base", "run": "true", "mounts": [{"ssh": "a b"}]}, "'a b' is not an agent's id"),
    ],
)
def test_mistakes_are_said(ws: Workspace, step: dict, said: str):
    ws.write({"a": "", "build.yaml": BASE + spec_of(steps={"step": step})})
    done = ws("run", ":step")
    assert done.code in (1, 2)
    assert said in done.err


def test_a_variable_of_one_command_is_seen_by_it_alone(ws: Workspace):
    made = {"from": "base", "run": {"command": "echo $ONE > /one", "env": {"ONE": "1"}}}
    members(ws, {"from": "made", "run": "echo [$ONE] > /two"}, made=made)
    assert (text(ws, "one"), text(ws, "two")) == ("1\n", "[]\n")


def test_a_step_like_a_run_of_docker(ws: Workspace):
    members(ws, {"from": "base", "run": {"command": "echo [$SOURCE_DATE_EPOCH] $$ > /out", "like_docker": True}})
    assert text(ws, "out").startswith("[]")


def test_a_new_cache_begins_with_files_of_a_target(ws: Workspace):
    seed = {"from": "base", "run": "mkdir -p /s/seed && echo seed > /s/seed/file"}
    mounts = [{"cache": "seeded", "to": "/c", "from": "seed", "path": "/s/seed"}]
    members(ws, {"from": "base", "run": "cat /c/file > /out; echo more >> /c/file", "mounts": mounts}, seed=seed)
    assert text(ws, "out") == "seed\n"
    members(ws, {"from": "base", "run": "cat /c/file > /out; : again", "mounts": mounts}, seed=seed)
    assert text(ws, "out") == "seed\nmore\n"


def test_a_cache_that_is_only_read(ws: Workspace):
    mounts = [{"cache": "read", "to": "/c", "read_only": True}]
    members(ws, {"from": "base", "run": "echo x > /c/x || echo no > /out", "mounts": mounts})
    assert text(ws, "out") == "no\n"


def test_an_agent_that_is_not_given_is_missed(ws: Workspace):
    ws.write({"build.yaml": BASE + spec_of(steps={"step": {"from": "base", "run": "true", "mounts": [{"ssh": "default"}]}})})
    assert "no ssh agent was given as 'default'" in ws("run", ":step").err


def test_triggers_for_those_who_build_on_an_image(ws: Workspace):
    image = {"config": {"on_build": ["RUN x"]}, "to": {"oci": "one"}}
    ws.write({"build.yaml": BASE + spec_of(outputs={"one": {"from": "base", "image": image}})})
    ws.run()
    assert config_of(ws.root / "one")["config"]["OnBuild"] == ["RUN x"]
    outputs = {"two": {"from": "one", "image": {"config": {"on_build": []}, "to": {"oci": "two"}}}}
    ws.write({"build.yaml": "bases: {one: {oci: one}}\n" + spec_of(outputs=outputs)})
    ws.run()
    assert "OnBuild" not in config_of(ws.root / "two")["config"]
