"""build.lock: downloads are pinned there as images are, one name can be updated, and a dry run says which images that changes."""

import hashlib
import json

import pytest
from registry_images import layer, put_image
from registry_server import RegistryServer
from workspaces import Workspace, spec_of, tar_of


def spec(url: str, **bases: object) -> str:
    return spec_of(
        bases={"root": {"tar": {"url": f"{url}/root.tar"}}, "fixed": {"tar": "fixed.tar"}, **bases},
        steps={"code": {"copy": {"files": "app", "to": "/srv"}}},
        outputs={
            "a": {"from": ["root", "code"], "image": {"tags": ["a:1"], "to": {"oci": "dist/a"}}},
            "b": {"from": "root", "image": {}},
            "c": {"from": ["fixed", "code"], "image": {}},
            **{f"of-{name}": {"from": name, "image": {}} for name in bases},
        },
    )


@pytest.fixture
def bodies() -> dict[str, bytes]:
    return {"/root.tar": tar_of({"f": b"first"})}


@pytest.fixture
def web(ws: Workspace, server, bodies: dict[str, bytes]):
    """A workspace whose base is a download, its URL, and what was asked for."""
    url, asked = server(bodies)
    ws.write({"app": "1", "fixed.tar": tar_of({"a": b"1"}), "build.yaml": spec(url)})
    return ws, url, asked


def pins(ws: Workspace) -> dict[str, str]:
    return {entry["request"]: entry["data"]["version"] for entry in json.loads((ws.root / "build.lock").read_text())["entries"]}


def dry(ws: Workspace, *words: str) -> dict:
    return json.loads(ws.ok("lock", "--dry-run", "--format", "json", "--update", *words).out)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_download_is_pinned_by_the_first_run_and_fetched_once(web, bodies):
    ws, url, asked = web
    assert "3 of them wait for `graphbuild lock`" in ws.ok("check").out
    assert "build.lock has nothing for //:root" in ws.fails("run", "--locked", code=2)
    ws.run("//...")
    assert pins(ws) == {f"{url}/root.tar": sha256(bodies["/root.tar"])}
    assert asked == ["/root.tar"]
    bodies["/root.tar"] = tar_of({"f": b"second"})
    ws.run("//...", "--offline", "-j1")
    assert asked == ["/root.tar"]
    assert ws.ok("lock").out == "build.lock is up to date\n"


def test_another_machine_takes_nothing_else_than_what_is_pinned(web, workspaces, bodies):
    ws, url, _ = web
    ws.run("//...")
    other = workspaces("other", store="other-store")
    other.write({name: (ws.root / name).read_bytes() for name in ("app", "fixed.tar", "build.yaml", "build.lock")})
    bodies["/root.tar"] = tar_of({"f": b"second"})
    assert sha256(bodies["/root.tar"])[7:19] in other.fails("run", "//...")
    other.ok("lock", "--update", f"{url}/root.tar")
    other.run("//...")
    assert pins(other) == {f"{url}/root.tar": sha256(bodies["/root.tar"])}


def test_an_archive_of_an_image_is_pinned_too(web, ws: Workspace, bodies):
    _, url, _ = web
    ws.write(
        {
            "build.yaml": spec_of(
                bases={"fixed": {"tar": "fixed.tar"}}, outputs={"o": {"from": "fixed", "image": {"to": {"archive": "o.tar"}}}}
            )
        }
    )
    ws.run(":o")
    bodies["/o.tar"] = (ws.root / "o.tar").read_bytes()
    ws.write(
        {
            "build.yaml": spec_of(
                bases={"b": {"oci": {"url": f"{url}/o.tar"}}}, outputs={"p": {"from": "b", "files": {"to": {"dir": "out"}}}}
            )
        }
    )
    ws.run(":p")
    assert (ws.root / "out/a").read_text() == "1"
    assert pins(ws) == {f"{url}/o.tar": sha256(bodies["/o.tar"])}


def test_what_is_no_pin(web):
    ws, url, _ = web
    ws.write(
        {"build.yaml": spec_of(bases={"b": {"tar": {"url": "http://user:secret@x/y.tar"}}}, outputs={"o": {"from": "b", "image": {}}})}
    )
    said = ws.fails("run", code=2)
    assert "a URL with a password is not written into build.lock" in said
    assert not (ws.root / "build.lock").exists()
    ws.write({"build.yaml": spec_of(bases={"b": {"tar": {"url": f"{url}/root.tar", "sha256": "12"}}})})
    assert "'12' is not a SHA-256" in ws.fails("check", code=2)
    ws.write({"build.yaml": spec_of(bases={"b": {"tar": {"url": "http://127.0.0.1:1/y.tar"}}}, outputs={"o": {"from": "b", "image": {}}})})
    assert "build.yaml:1" in ws.fails("lock")


def test_the_radius_of_a_download(web, bodies):
    ws, url, _ = web
    ws.run("//...")
    bodies["/root.tar"] = tar_of({"f": b"second" * 1000})
    said = dry(ws)
    assert said["changes"][0]["new"] == sha256(bodies["/root.tar"])
    assert not said["written"]
    radius = said["radius"]
    assert (radius["changed"], radius["outputs"], radius["layers"]) == (["//:a", "//:b"], 3, 1)
    assert radius["size"] == 2048 + 512 - 512  # a header, a block and the end: the layer that is there
    assert 0 < radius["compressed"] < radius["size"]
    text = ws.ok("lock", "--update", "-n").out
    assert "2 of 3 outputs would change: //:a, //:b\n1 layer would be new; to pull again: at most about 2.0 kB, " in text
    assert text.endswith("nothing was written\n")
    assert pins(ws)[f"{url}/root.tar"] != sha256(bodies["/root.tar"])
    assert dry(ws, "url")["radius"] == radius
    assert dry(ws, ":root")["radius"] == dry(ws, "root")["radius"] == radius
    assert dry(ws, ":fixed") == {"changes": [], "unused": 0, "written": False, "radius": None}


def test_the_radius_is_what_a_build_then_makes(web, bodies):
    """The judge is a build: what comes out differently was named."""
    ws, _, _ = web
    ws.run("//...")
    before = {image["label"]: image["digest"] for image in json.loads(ws.ok("images", "--format", "json").out)["images"]}
    bodies["/root.tar"] = tar_of({"f": b"second"})
    radius = dry(ws)["radius"]
    written = json.loads(ws.ok("lock", "--update", "--format", "json").out)
    assert written["written"]
    ws.run("//...")
    after = {image["label"]: image["digest"] for image in json.loads(ws.ok("images", "--format", "json").out)["images"]}
    assert [label for label in before if before[label] != after[label]] == radius["changed"]


def test_what_was_never_built_has_no_size(web):
    ws, _, _ = web
    said = dry(ws)["radius"]
    assert said["changed"] == ["//:a", "//:b"]
    assert (said["layers"], said["size_unknown"], said["size"]) == (1, 1, 0)
    assert "how large is not known" in ws.ok("lock", "-n").out


def test_few_are_named_and_all_with_verbose(web, bodies):
    ws, url, _ = web
    outputs = {f"o{number}": {"from": "root", "image": {}} for number in range(8)}
    ws.write({"build.yaml": spec_of(bases={"root": {"tar": {"url": f"{url}/root.tar"}}}, outputs=outputs)})
    ws.ok("lock")
    bodies["/root.tar"] = tar_of({"f": b"second"})
    text = ws.ok("lock", "--update", "-n").out
    assert "8 of 8 outputs would change: //:o0, //:o1, //:o2, //:o3, //:o4 and 3 more (--verbose names all)" in text
    assert "//:o7" in ws.ok("lock", "--update", "-n", "--verbose").out
    assert len(dry(ws)["radius"]["changed"]) == 8


@pytest.fixture
def registry():
    with RegistryServer() as made:
        yield made


def test_one_image_of_two_and_what_of_it_is_new(web, registry):
    """The layers of a registry's new image are known, and so is what they weigh; the one that both have is not pulled again."""
    ws, url, _ = web
    same, old, new = (layer({name: name.encode() * 3000}) for name in ("same", "old", "new"))
    put_image(registry, "lib/base", "1", same, old)
    put_image(registry, "lib/other", "1", old)
    bases = {name: {"image": f"{registry.host}/lib/{name}:1"} for name in ("base", "other")}
    ws.write({"graphbuild.yaml": f'registries: {{"{registry.host}": {{insecure: true}}}}\n', "build.yaml": spec(url, **bases)})
    ws.run("//...")
    before = pins(ws)
    digest, _ = put_image(registry, "lib/base", "1", same, new)
    put_image(registry, "lib/other", "1", new)
    reference = f"{registry.host}/lib/base:1"
    said = dry(ws, reference)
    assert [(change["name"], change["new"]) for change in said["changes"]] == [(reference, digest)]
    assert said["radius"]["changed"] == ["//:of-base"]
    assert (said["radius"]["layers"], said["radius"]["compressed"]) == (1, len(new))
    ws.ok("lock", "--update", reference)
    assert pins(ws) == before | {reference: digest}
    assert dry(ws, "image")["radius"]["changed"] == ["//:of-other"]


def test_names_that_are_none(web):
    ws, url, _ = web
    ws.ok("lock")
    said = ws.fails("lock", "--update", f"{url}/rot.tar", code=2)
    assert f"did you mean '{url}/root.tar'?" in said
    assert "build.lock has nothing that is called zzz" in ws.fails("lock", "--update", "zzz", code=2)
    assert "no target" in ws.fails("lock", "--update", ":zzz", code=2)


def test_completion(web):
    ws, url, _ = web
    ws.ok("lock")
    assert f"{url}/root.tar" in ws.ok("__complete", "lock", "--update", "h").out.split()
    assert "//:root" in ws.ok("__complete", "lock", "--update", "//").out.split()
    assert "--containing" in ws.ok("__complete", "images", "--c").out.split()
    assert "//:a" in ws.ok("__complete", "images", "//").out.split()
