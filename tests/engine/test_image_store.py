"""`graphbuild image`: names, ids, lists, removal, archives; what people type, and what they are told."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives_by_hand import config, docker_archive, layout, oci_image, sha256, tar
from workspaces import BASE, Workspace, settle, spec_of

LAYER, OTHER = tar({"a": b"one", "d/b": b"two" * 100}), tar({"a": b"three"})


def imported(ws: Workspace, name: str, files: dict[str, bytes], *words: str, when: int = 1_700_000_000) -> str:
    """An image of those files; its id."""
    ws.write({"root.tar": tar(files)})
    return ws.ok("image", "import", "root.tar", *([name] if name else []), *words, SOURCE_DATE_EPOCH=str(when)).out.strip()


def listed(ws: Workspace, *words: str) -> list[tuple[str, str]]:
    """Names and short ids."""
    rows = ws.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", *words).out.splitlines()
    return [(row.split()[0], row.split()[1]) for row in rows]


def piped(ws: Workspace, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A command line with bytes on stdin, and bytes on stdout."""
    environment = {**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [*ws.prefix, sys.executable, "-m", "graphbuild", *words], cwd=ws.root, env=environment, input=data, capture_output=True, check=False
    )


def test_a_list(ws: Workspace):
    assert ws.ok("image", "ls").out == "REPOSITORY   TAG   IMAGE ID   CREATED   SIZE   SHARED\n"
    one = imported(ws, "web:1", {"a": b"x" * 1500}, when=1_600_000_000)
    imported(ws, "registry.example:5000/team/web", {"a": b"y"}, "-c", "LABEL kind=big level=1")
    none = imported(ws, "", {"a": b"z"}, when=1_650_000_000)
    lines = [line.split("   ") for line in ws.ok("image", "ls").out.splitlines()]
    assert lines[1][0] == "registry.example:5000/team/web"
    assert [[cell.strip() for cell in line if cell.strip()] for line in lines][2][:3] == ["<none>", "<none>", none[7:19]]
    row = json.loads(ws.ok("image", "ls", "web:1", "--format", "json").out)
    assert row["ID"] == one[7:19]
    assert (row["Repository"], row["Tag"], row["Size"], row["CreatedAt"]) == ("web", "1", "1.5 kB", "2020-09-13 12:26:40 +0000 UTC")
    assert row["CreatedSince"].endswith("years ago")
    assert ws.ok("image", "ls", "-q", "--no-trunc", "web").out == f"{one}\n"
    assert ws.ok("image", "ls", "--digests", "web").out.splitlines()[1].split()[2] == one
    assert ws.ok("image", "ls", "web", "--format", "table {{.Tag}}\\t{{.ID}}").out == f"TAG   IMAGE ID\n1     {one[7:19]}\n"


def test_what_is_listed(ws: Workspace):
    imported(ws, "web:1", {"a": b"1"}, "-c", "LABEL kind=big", when=1_600_000_000)
    imported(ws, "web:2", {"a": b"2"}, "-c", "LABEL kind=small", when=1_650_000_000)
    imported(ws, "db:1", {"a": b"3"}, when=1_700_000_000)
    imported(ws, "", {"a": b"4"}, when=1_400_000_000)
    ws.ok("image", "tag", "web:1", "other/web:1")

    def names(*words: str) -> list[str]:
        return [name for name, _ in listed(ws, *words)]

    assert names() == ["db:1", "web:2", "web:1", "other/web:1", "<none>:<none>"]
    assert names("web") == ["web:2", "web:1"]
    assert names("web:1") == ["web:1"]
    assert names("*:1") == ["db:1", "web:1", "other/web:1"]
    assert names("nothing") == []
    assert names("-f", "dangling=true") == ["<none>:<none>"]
    assert names("-f", "dangling=false", "--filter", "label=kind") == ["web:2", "web:1", "other/web:1"]
    assert names("-f", "label=kind=small") == ["web:2"]
    assert names("-f", "reference=*/web") == ["other/web:1"]
    assert names("-f", "before=web:2") == ["web:1", "other/web:1", "<none>:<none>"]
    assert names("-f", "since=web:2") == ["db:1"]
    for wrong in ("x", "x=y", "dangling=perhaps", "label=", "reference="):
        assert "--filter" in ws.fails("image", "ls", "-f", wrong, code=2)
    assert "no image nope" in ws.fails("image", "ls", "-f", "since=nope", code=2)


def test_ids_and_their_beginnings(ws: Workspace):
    ids = [imported(ws, f"many:{number}", {"a": str(number).encode()}) for number in range(20)]
    beginnings = [image[7:9] for image in ids]
    for image in ids:
        unique = next(image[7:end] for end in range(9, 72) if sum(other.startswith(image[:end]) for other in ids) == 1)
        for text in (image, image[7:], image[7:19], unique, f"sha256:{unique}"):
            assert ws.ok("image", "inspect", "-f", "{{.Id}}", text).out.strip() == image
        break
    twice = next((beginning for beginning in beginnings if beginnings.count(beginning) > 1), None)
    if twice:
        assert "ids" in ws.fails("image", "inspect", twice, code=2)
    for wrong in ("0", "sha256:", "sha256:" + "0" * 64, "x" * 300, "A:B:C", "", "many:nope", "\x1b[2J", "many@sha256:12"):
        error = ws.fails("image", "inspect", wrong, code=2)
        assert "no image" in error
        assert "\x1b" not in error
    assert "did you mean many:1" in ws.fails("image", "inspect", "mani:1", code=2)


def test_two_ids_that_begin_alike(ws: Workspace):
    """Made by hand: ids are what a config's bytes give."""
    seen: dict[str, bytes] = {}
    for number in range(2000):
        document = config([LAYER], author=str(number))
        start = sha256(document)[:3]
        if start in seen:
            break
        seen[start] = document
    ws.write({"two.tar": docker_archive((seen[start], [LAYER], ["one:1"]), (document, [LAYER], ["two:1"]))})
    ws.ok("image", "load", "two.tar")
    assert f"{start} is the beginning of 2 ids" in ws.fails("image", "rm", start, code=2)
    assert len(listed(ws)) == 2


def test_names_move(ws: Workspace):
    one, two = imported(ws, "web", {"a": b"1"}), imported(ws, "web:2", {"a": b"2"})
    ws.ok("image", "tag", "web:latest", "web:stable")
    ws.ok("image", "tag", two[:20], "web:latest")
    assert dict(listed(ws)) == {"web:stable": one[7:19], "web:2": two[7:19], "web:latest": two[7:19]}
    three = imported(ws, "web:stable", {"a": b"3"})
    assert dict(listed(ws))["<none>:<none>"] == one[7:19]
    assert dict(listed(ws))["web:stable"] == three[7:19]
    for wrong in ("UPPER:1", "a b", "web:", "web:" + "x" * 129, "a" * 64, f"web@{one}", "", "-x"):
        assert ws("image", "tag", "--", "web", wrong).code == 2, wrong
    assert "no image nope" in ws.fails("image", "tag", "nope", "x", code=2)
    assert ws.ok("image", "tag", "web:stable", "docker.io/library/web:stable").out == ""
    assert len(listed(ws)) == 4


def test_remove(ws: Workspace):
    one, two = imported(ws, "web:1", {"a": b"1"}), imported(ws, "web:2", {"a": b"2"})
    ws.ok("image", "tag", "web:1", "web:x")
    assert "several names: web:1, web:x" in ws.fails("image", "rm", one, code=2)
    done = ws("image", "rm", "nope", "web:x", "none", "web:2")
    assert done.code == 2
    assert done.out.splitlines() == ["Untagged: web:x", "Untagged: web:2", f"Deleted: {two}"]
    assert "no image nope" in done.err
    assert "no image none" in done.err
    ws.ok("image", "tag", "web:1", "web:x")
    assert ws.ok("image", "rm", "-f", one[7:15]).out.splitlines() == ["Untagged: web:1", "Untagged: web:x", f"Deleted: {one}"]
    assert listed(ws) == []


def test_remove_all_that_is_listed(ws: Workspace):
    for number in range(5):
        imported(ws, f"web:{number}" if number else "", {"a": str(number).encode()})
    quiet = ws.ok("image", "ls", "-q").out.split()
    assert len(quiet) == 5
    assert ws.ok("image", "rm", *quiet).out.count("Deleted") == 5
    assert listed(ws) == []


def test_prune(ws: Workspace):
    imported(ws, "web:1", {"a": b"1" * 100_000})
    none = imported(ws, "", {"a": b"2" * 100_000})
    assert "-f" in ws.fails("image", "prune", code=2)
    assert len(listed(ws)) == 2
    done = ws.ok("image", "prune", "-f").out
    assert done.splitlines()[0] == f"Deleted: {none}"
    assert "freed 2" in done  # the tar and the folder
    assert [name for name, _ in listed(ws)] == ["web:1"]
    ws.ok("image", "verify")
    assert "Deleted" in ws.ok("image", "prune", "-a", "-f").out
    assert listed(ws) == []
    assert list((ws.store / "blobs/sha256").iterdir()) == []
    assert ws.ok("cache", "verify").out == "the store is intact\n"


def test_inspect(ws: Workspace):
    one = imported(
        ws, "web:1", {"a": b"1"}, "-c", 'CMD ["x", "y z"]', "-c", "ENV A=1 B=two", "-c", "LABEL k=v", "-c", "EXPOSE 80", "-m", "hi"
    )
    two = imported(ws, "db:1", {"a": b"2"})
    found = json.loads(ws.ok("image", "inspect", "web:1", "db:1").out)
    assert [each["Id"] for each in found] == [one, two]
    assert found[0]["Config"]["Cmd"] == ["x", "y z"]
    assert found[0]["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert found[0]["Comment"] == "hi"
    assert found[1]["Config"]["Env"] == []
    done = ws("image", "inspect", "web:1", "nope", "db:1", "-f", "{{.Id}}")
    assert (done.code, done.out.split()) == (2, [one, two])
    assert "no image nope" in done.err
    assert [each["Id"] for each in json.loads(ws.ok("image", "inspect", "-f", "json", "web:1").out)] == [one]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{.RepoTags}}", "[web:1]"),
        ("{{ .Os }}/{{.Architecture}}", "linux/amd64"),
        ("{{.Config.Cmd}} {{json .Config.Cmd}}", '[x y] ["x", "y"]'),
        ("{{.Config.Labels}}", "map[a:b k:v]"),
        ('{{index .Config.Labels "k"}}{{index .Config.Labels "none"}}', "v"),
        ("{{index .RepoTags 0}}", "web:1"),
        ('{{join .Config.Env ", "}}', "A=1, B=2"),
        ("{{len .RootFS.Layers}} {{.RootFS.Type}}", "1 layers"),
        ("{{.Config.Nothing}}", "<no value>"),
        ("plain } text", "plain } text"),
    ],
)
def test_a_template(ws: Workspace, template: str, wanted: str):
    imported(ws, "web:1", {"a": b"1"}, "-c", 'CMD ["x", "y"]', "-c", "ENV A=1 B=2", "-c", "LABEL k=v a=b", "--platform", "linux/amd64")
    assert ws.ok("image", "inspect", "-f", template, "web:1").out == wanted + "\n"


@pytest.mark.parametrize(
    "template",
    ["{{.Nope}}", "{{", "{{range .RepoTags}}x{{end}}", "{{index .RepoTags 7}}", "{{join .RepoTags ,}}", "{{}}", "{{json}}", '{{"'],
)
def test_what_is_no_template(ws: Workspace, template: str):
    imported(ws, "web:1", {"a": b"1"})
    assert "--format" in ws.fails("image", "inspect", "-f", template, "web:1", code=2)


def test_history(ws: Workspace):
    document = config(
        [LAYER, OTHER],
        history=[
            {"created": "2020-01-01T00:00:00Z", "created_by": "ADD  something\n long " + "x" * 100},
            {"created_by": "ENV A=1", "empty_layer": True},
            {"created_by": "\x1b[31mRUN evil\x1b]0;title\x07", "comment": "more\rno"},
        ],
    )
    ws.write({"it.tar": docker_archive((document, [LAYER, OTHER], ["it:1"]))})
    ws.ok("image", "load", "it.tar")
    out = ws.ok("image", "history", "it:1").out
    assert "\x1b" not in out
    assert "\r" not in out
    lines = out.splitlines()
    assert lines[0].split() == ["LAYER", "CREATED", "CREATED", "BY", "SIZE", "TARGET", "PLACE", "COMMENT"]
    assert "RUN evil" in lines[1]
    assert lines[2].startswith("<none>")
    assert "…" in lines[3]
    whole = ws.ok("image", "history", "it:1", "--no-trunc", "--format", "{{.ID}} {{.CreatedBy}}").out.splitlines()
    assert whole[2].endswith("ADD something long " + "x" * 100)
    assert len(ws.ok("image", "history", "-q", "it:1").out.split()) == 3


def test_save_and_load_again(ws: Workspace, workspaces: Callable[..., Workspace]):
    one = imported(ws, "web:1", {"a": b"1", "b/c": b"2"}, "-c", "CMD x")
    ws.ok("image", "tag", "web:1", "registry.example/web:x")
    two = imported(ws, "db:1", {"a": b"3"})
    for number, words in enumerate(
        [("--format", "docker"), ("--format", "oci-archive"), ("--format", "oci-archive", "--compression", "zstd"), ("--format", "oci")]
    ):
        ws.ok("image", "save", "web:1", "registry.example/web:x", "db:1", "-o", f"out{number}", *words)
        other = workspaces(f"other{number}", store=f"store{number}")
        said = other.ok("image", "load", str(ws.root / f"out{number}")).out
        assert sorted(said.splitlines()) == ["Loaded image: db:1", "Loaded image: registry.example/web:x", "Loaded image: web:1"]
        assert dict(listed(other)) == {"web:1": one[7:19], "registry.example/web:x": one[7:19], "db:1": two[7:19]}
        other.ok("image", "verify")
        assert other.ok("image", "load", str(ws.root / f"out{number}")).out == said
    ws.ok("image", "save", one, "-o", "nameless.tar")
    assert other.ok("image", "load", "-i", str(ws.root / "nameless.tar")).out == f"Loaded image ID: {one}\n"
    assert other.ok("image", "load", "-q", str(ws.root / "out0")).out.split() == [one, one, two]
    ws.ok("image", "save", "web:1", "-o", "a")
    ws.ok("image", "save", "web:1", "-o", "a")
    ws.ok("image", "save", "web:1", "-o", "b")
    assert (ws.root / "a").read_bytes() == (ws.root / "b").read_bytes()


def test_a_repository_is_all_its_tags(ws: Workspace):
    for tag in ("1", "2", "latest"):
        imported(ws, f"web:{tag}", {"a": tag.encode()})
    imported(ws, "webber:1", {"a": b"other"})
    ws.ok("image", "save", "web", "-o", "all.tar")
    with tarfile.open(ws.root / "all.tar") as tar:
        names = [name for each in json.load(tar.extractfile("manifest.json")) for name in each["RepoTags"]]
    assert sorted(names) == ["web:1", "web:2", "web:latest"]


def test_pipes(ws: Workspace):
    one = imported(ws, "web:1", {"a": os.urandom(300_000)})
    saved = piped(ws, "image", "save", "web:1")
    assert saved.returncode == 0
    ws.ok("image", "prune", "-a", "-f")
    assert piped(ws, "image", "load", data=saved.stdout).stdout == b"Loaded image: web:1\n"
    assert dict(listed(ws)) == {"web:1": one[7:19]}
    done = piped(ws, "image", "import", "-", "piped:1", data=tar({"a": b"x"}))
    assert done.returncode == 0
    (layer,) = json.loads(ws.ok("image", "inspect", "piped:1").out)
    assert layer["Comment"] == "Imported from -"
    for nothing in (b"", b"\0" * 100, b"not an archive" * 100, saved.stdout[: len(saved.stdout) // 2]):
        for words in (("load",), ("import", "-")):
            done = piped(ws, "image", *words, data=nothing)
            assert done.returncode == 2, (words, nothing[:20], done)
            assert b"Traceback" not in done.stderr
    assert "-o DIR" in ws.fails("image", "save", "web:1", "--format", "oci", code=2)
    shell = f"{sys.executable} -m graphbuild image save web:1 | head -c 1000 | wc -c"
    environment = {**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
    cut = subprocess.run([*ws.prefix, "sh", "-c", shell], cwd=ws.root, env=environment, capture_output=True, check=False)
    assert (cut.stdout.split(), cut.stderr) == ([b"1000"], b"")


def test_where_nothing_can_be_saved(ws: Workspace):
    imported(ws, "web:1", {"a": b"1"})
    ws.write({"folder/file": "mine", "file": "mine"})
    assert "folder" in ws.fails("image", "save", "web:1", "-o", "folder", code=2)
    assert "folder" in ws.fails("image", "save", "web:1", "-o", "folder", "--format", "oci", code=2)
    assert "file" in ws.fails("image", "save", "web:1", "-o", "file", "--format", "oci", code=2)
    assert ws("image", "save", "web:1", "-o", "no/such/place.tar").code in (0, 2)
    assert "no image nope" in ws.fails("image", "save", "web:1", "nope", "-o", "x", code=2)
    assert not (ws.root / "x").exists()
    assert (ws.root / "file").read_text() == "mine"


def test_import(ws: Workspace, server: Callable):
    url, _ = server({"/root.tar.gz": gzip.compress(tar({"a": b"1"}))})
    image = ws.ok("image", "import", f"{url}/root.tar.gz", "web:1", "-c", "USER bob\nWORKDIR /srv", "--platform", "linux/arm64").out.strip()
    (found,) = json.loads(ws.ok("image", "inspect", image).out)
    assert found["Architecture"] == "arm64"
    assert found["Comment"] == f"Imported from {url}/root.tar.gz"
    assert (found["Config"]["User"], found["Config"]["WorkingDir"]) == ("bob", "/srv")
    ws.write({"root.tar": tar({"a": b"1"}), "text": "no archive"})
    before = listed(ws)
    for words in (
        ("missing.tar",),
        ("text",),
        (".",),
        ("/dev/null",),
        (f"{url}/missing",),
        ("http://127.0.0.1:1/x",),
        ("root.tar", "UPPER"),
        ("root.tar", "-c", "RUN x"),
        ("root.tar", "-c", "EXPOSE many"),
        ("root.tar", "--platform", "x"),
        ("root.tar", "x:1", "y:1"),
    ):
        done = ws("image", "import", *words)
        assert done.code in (1, 2), (words, done)
        assert "Traceback" not in done.err
    assert listed(ws) == before


def test_the_same_import_is_the_same_image(ws: Workspace):
    assert imported(ws, "a:1", {"a": b"1"}) == imported(ws, "b:1", {"a": b"1"})
    assert {name for name, _ in listed(ws)} == {"a:1", "b:1"}


def test_platforms(ws: Workspace):
    """One name for several machines is one image, wherever in the layout it says so."""
    folder = ws.root / "layout"
    folder.mkdir()
    images = {
        name: oci_image(
            folder,
            config([tar({"a": name.encode()})], architecture=name),
            [tar({"a": name.encode()})],
            packed=True,
            platform={"architecture": name, "os": "linux"},
            annotations={"io.containerd.image.name": "docker.io/library/many:1"},
        )
        for name in ("amd64", "arm64", "s390x")
    }
    layout(folder, *images.values())
    assert ws.ok("image", "load", "layout", "--platform", "linux/arm64").out == "Loaded image: many:1\n"
    assert ws.ok("image", "inspect", "-f", "{{.Architecture}}", "many:1").out == "arm64\n"
    assert "no image for linux/riscv64" in ws.fails("image", "load", "layout", "--platform", "linux/riscv64", code=2)
    assert "x" in ws.fails("image", "load", "layout", "--platform", "x", code=2)


def test_what_a_build_tags_is_there(ws: Workspace):
    outputs = {"web": {"from": "made", "image": {"config": {"cmd": ["x"]}, "tags": ["web:1", "registry.example/web:1"]}}}
    ws.write(
        {"build.yaml": BASE + spec_of(steps={"made": {"from": "base", "copy": {"files": ["f"], "to": "/d"}}}, outputs=outputs), "f": "1"}
    )
    ws.run(":web")
    assert {name for name, _ in listed(ws)} == {"web:1", "registry.example/web:1"}
    (found,) = json.loads(ws.ok("image", "inspect", "web:1").out)
    assert [layer["Target"] for layer in found["Layers"]][-1] == "//:made"
    settle()
    assert ws.run(":web").certified or ws.run(":web").certified
    # a name that was moved by hand leads where the build says again
    imported(ws, "web:1", {"a": b"other"})
    ws.run(":web")
    assert json.loads(ws.ok("image", "inspect", "web:1").out)[0]["Id"] == found["Id"]
    settle()
    ws.run(":web")
    ws.ok("image", "rm", "-f", found["Id"])
    ws.run(":web")
    assert json.loads(ws.ok("image", "inspect", "web:1").out)[0]["Id"] == found["Id"]
    ws.ok("image", "verify")


def test_squash(ws: Workspace):
    below = tar({"keep": b"1", "gone": b"2", "d/x": b"3", "link": (tarfile.LNKTYPE, "keep")})
    above = tar({".wh.gone": b"", "d/.wh..wh..opq": b"", "d/y": b"4"})
    document = config([below, above], config={"Cmd": ["x"], "Env": ["A=1"]}, author="me")
    ws.write({"it.tar": docker_archive((document, [below, above], ["it:1"]))})
    ws.ok("image", "load", "it.tar")
    image = ws.ok("image", "squash", "it:1", "-t", "flat:1", "-t", "flat:2", "-m", "why").out.strip()
    (found,) = json.loads(ws.ok("image", "inspect", "flat:1").out)
    assert found["Id"] == image
    assert found["RepoTags"] == ["flat:1", "flat:2"]
    assert len(found["Layers"]) == 1
    assert (found["Config"]["Cmd"], found["Config"]["Env"], found["Author"], found["Comment"]) == (["x"], ["A=1"], "me", "why")
    ws.ok("image", "save", "flat:1", "-o", "flat.tar")
    with tarfile.open(ws.root / "flat.tar") as archive:
        inner = tarfile.open(fileobj=io.BytesIO(archive.extractfile(f"blobs/sha256/{found['Layers'][0]['DiffId'][7:]}").read()))  # noqa: SIM115
        assert sorted(inner.getnames()) == ["d/y", "keep", "link"] or sorted(inner.getnames()) == ["d", "d/y", "keep", "link"]
    assert ws.ok("image", "diff", "it:1", "flat:1").out.count("\n") == 1
    ws.ok("image", "verify")
    assert "no image nope" in ws.fails("image", "squash", "nope", code=2)


def test_help_names_an_example(ws: Workspace):
    for action in ["ls", "inspect", "history", "tag", "rm", "prune", "save", "load", "import", "tree", "diff", "squash", "verify", "whose"]:
        assert (
            f"example: graphbuild image {action}" in ws.ok("image", action, "--help").out
            or "| graphbuild image" in ws.ok("image", action, "--help").out
        )
    assert ws("image").code == 2
    assert ws("image", "nope").code == 2
