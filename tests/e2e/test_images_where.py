"""`graphbuild images`: the images of a workspace as they were built, and which of them hold a package or a file; nothing is built."""

import json
import shutil

import pytest
from workspaces import BASE, Workspace, spec_of, tar_of

from graphbuild.values.platform import this_platform

SITE = "venv/lib/python3.11/site-packages"


def status(**versions: str) -> bytes:
    return "".join(f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n" for name, version in versions.items()).encode()


def outputs(**tags: str) -> dict:
    return {name: {"from": name + "-files", "image": {"tags": [tag] if tag else []}} for name, tag in tags.items()}


@pytest.fixture
def shop(ws: Workspace) -> Workspace:
    """`old` and `new` on Debian-like bases, `snake` with Python besides, `tiny` on an apk one; only `late` is not built."""
    ws.write(
        {
            "old.tar": tar_of({"var/lib/dpkg/status": status(libssl3="3.0.14-1", zlib="1"), "usr/bin/perl": b"perl", "bin": "usr/bin"}),
            "new.tar": tar_of({"var/lib/dpkg/status": status(libssl3="3.0.15-1", zlib="1"), "usr/bin/perl5.36": b"perl"}),
            "apk.tar": tar_of({"lib/apk/db/installed": b"P:libssl3\nV:3.1.4_git20240101-r5\n\nP:musl\nV:1.2.4-r2\n\n"}),
            "less": status(libssl3="3.0.14-1", zlib="1", less="590-2"),
            f"py/{SITE}/Flask_Login-0.6.3.dist-info/METADATA": "Name: Flask-Login\n",
            "app": "1",
            "build.yaml": spec_of(
                bases={f"{name}-base": {"tar": f"{name}.tar"} for name in ("old", "new", "apk")},
                steps={
                    "old-files": {"from": "old-base", "copy": {"files": "app", "to": "/srv"}},
                    "late-files": {"from": "old-base", "copy": {"files": "app", "to": "/late"}},
                    "new-files": {"from": "new-base", "copy": {"files": "app", "to": "/srv"}},
                    "snake-code": {"copy": {"files": "py/**", "to": "/", "strip": "py"}},
                    "installed": {"from": "old-base", "put": {"files": "less", "to": "/var/lib/dpkg/status"}},
                    "snake-files": {"from": ["installed", "snake-code"], "union": {}},
                    "tiny-files": {"from": "apk-base", "copy": {"files": "app", "to": "/srv"}},
                },
                outputs=outputs(old="shop/old:1", new="shop/new:1", snake="", tiny="tiny:1", late="late:1"),
            ),
        }
    )
    ws.run(":old", ":new", ":snake", ":tiny")
    return ws


def found(ws: Workspace, *words: str) -> dict[str, dict[str, str]]:
    """What is said of each image, `what version` → the target that brought it."""
    said = json.loads(ws.ok("images", "--format", "json", *words).out)
    return {
        image["label"]: {
            " ".join(filter(None, (one.get("package") or one.get("file"), one.get("version")))): one["target"]
            for one in image.get("holds", [])
        }
        for image in said["images"]
    }


def test_of_an_index_the_image_of_each_platform(ws: Workspace):
    arches = ("amd64", "arm64")
    output = {"from": "files", "platforms": [f"linux/{arch}" for arch in arches], "image": {"tags": ["shop/both:1"]}}
    ws.write(
        {
            **{arch: f"for {arch}" for arch in arches},
            "build.yaml": spec_of(steps={"files": {"copy": {"files": "${platform.arch}", "to": "/srv"}}}, outputs={"both": output}),
        }
    )
    assert json.loads(ws.ok("images", "--format", "json").out)["not_built"] == [f"//:both[platform=linux/{arch}]" for arch in arches]
    ws.ok("run", ":both")
    assert set(found(ws)) == {f"//:both[platform=linux/{arch}]" for arch in arches}
    assert list(found(ws, "--with-file", "/srv/arm64")) == ["//:both[platform=linux/arm64]"]


def test_a_list(shop: Workspace):
    done = shop.ok("images")
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["IMAGE", "TAGS", "DIGEST", "SIZE", "LAYERS", "BUILT", "FROM"]
    assert {row[0] for row in rows[1:]} == {"//:old", "//:new", "//:snake", "//:tiny"}
    assert done.out.count("present inputs") == 4
    assert done.err == "not built: //:late\n"
    said = json.loads(shop.ok("images", ":old", ":late", "--format", "json").out)
    assert said["not_built"] == ["//:late"]
    (image,) = said["images"]
    assert image["tags"] == ["shop/old:1"]
    assert image["digest"] == json.loads(shop.ok("image", "inspect", "shop/old:1").out)[0]["Id"]
    assert [layer["target"] for layer in image["layers"]] == ["//:old-base", "//:old-files"]
    assert image["current"]


def test_of_an_index_each_image_is_searched(ws: Workspace):
    ws.write(
        {
            "base.tar": tar_of({"var/lib/dpkg/status": status(libssl3="3.0.14-1")}),
            "build.yaml": spec_of(
                bases={"base": {"tar": "base.tar"}},
                outputs={"web": {"from": "base", "platforms": ["linux/amd64", "linux/arm64"], "image": {}}},
            ),
        }
    )
    parts = ["//:web[platform=linux/amd64]", "//:web[platform=linux/arm64]"]
    assert json.loads(ws.ok("images", "--format", "json").out) == {"images": [], "not_built": parts}
    ws.run()
    assert found(ws, "--containing", "libssl3") == {
        part: {"deb:libssl3 3.0.14-1": part.replace("web", "base").removesuffix(f"[platform={this_platform()}]")} for part in parts
    }


def test_packages_by_version(shop: Workspace):
    old = {"deb:libssl3 3.0.14-1": "//:old-base"}
    assert found(shop, "--containing", "deb:libssl3<3.0.15") == {"//:old": old, "//:snake": old}
    assert found(shop, "--containing", "libssl3>=3.0.15") == {
        "//:new": {"deb:libssl3 3.0.15-1": "//:new-base"},
        "//:tiny": {"apk:libssl3 3.1.4_git20240101-r5": "//:apk-base"},
    }
    assert set(found(shop, "--containing", "libssl3!=3.0.14-1", "--containing", "deb:zlib")) == {"//:new"}
    assert found(shop, "--containing", "apk:musl<1.2.4-r3") == {"//:tiny": {"apk:musl 1.2.4-r2": "//:apk-base"}}


def test_who_brought_a_package_that_a_layer_above_lists_again(shop: Workspace):
    assert found(shop, "--containing", "less", "--containing", "zlib") == {
        "//:snake": {"deb:less 590-2": "//:installed", "deb:zlib 1": "//:old-base"}
    }


def test_python_packages_by_any_spelling(shop: Workspace):
    assert found(shop, "--containing", "python:flask.login>=0.6") == {"//:snake": {"python:Flask_Login 0.6.3": "//:snake-code"}}
    assert found(shop, "--containing", "pypi:Flask-Login<0.6") == {}


def test_files_and_globs(shop: Workspace):
    assert found(shop, "--with-file", "/bin/perl") == {
        "//:old": {"/usr/bin/perl": "//:old-base"},
        "//:snake": {"/usr/bin/perl": "//:old-base"},
    }
    assert set(found(shop, "--with-file", "/usr/bin/perl*")) == {"//:old", "//:new", "//:snake"}
    assert found(shop, "--with-file", "/**/app") == {label: {"/srv/app": f"{label}-files"} for label in ("//:old", "//:new", "//:tiny")}
    assert set(found(shop, "--with-file", "/srv/app", "--containing", "libssl3<3.0.15")) == {"//:old"}
    assert set(found(shop, "//...", "-//:new", "--with-file", "/usr/bin/perl5.36")) == set()


def test_nothing_is_found(shop: Workspace):
    done = shop.ok("images", "--containing", "openssh-server")
    assert done.out == ""
    assert "none of 4 built images holds it" in done.err
    assert "not built: //:late" in done.err
    assert json.loads(shop.ok("images", "--containing", "nope", "--format", "json").out)["images"] == []


def test_a_result_of_older_inputs_is_shown_as_such(shop: Workspace):
    (shop.root / "app").write_text("2")
    assert shop.ok("images").out.count("older inputs") == 3
    assert found(shop, "--with-file", "/srv/app", ":old") == {"//:old": {"/srv/app": "//:old-files"}}
    assert shop.ok("images", "--containing", "libssl3", ":snake").out.count("present inputs") == 1
    shop.run(":old")
    assert shop.ok("images", ":old").out.count("present inputs") == 1


def test_a_hidden_package_or_file_is_not_held(ws: Workspace):
    ws.write(
        {
            "old.tar": tar_of({"var/lib/dpkg/status": status(libssl3="3.0.14-1"), "etc/conf": b"1"}),
            "build.yaml": BASE
            + spec_of(
                steps={"gone": {"from": ["base"], "run": "mkdir -p /var/lib/dpkg && rm /etc/group && echo > /var/lib/dpkg/status"}},
                outputs={"it": {"from": "gone", "image": {}}},
            ),
        }
    )
    ws.run(":it")
    assert found(ws, "--with-file", "/etc/group") == {}
    assert found(ws, "--with-file", "/etc/passwd") == {"//:it": {"/etc/passwd": "//:base"}}
    assert found(ws, "--containing", "libssl3") == {}


def test_nothing_is_unpacked_or_built(shop: Workspace):
    """With the folders gone there are tars: they are read where they lie."""
    folders = shop.store / "layers"
    for folder in folders.iterdir():
        shutil.rmtree(folder)
    blobs = sorted(path.name for path in (shop.store / "blobs").rglob("*"))
    assert found(shop, "--containing", "less", "--containing", "zlib") == {
        "//:snake": {"deb:less 590-2": "//:installed", "deb:zlib 1": "//:old-base"}
    }
    assert list(folders.iterdir()) == []
    assert sorted(path.name for path in (shop.store / "blobs").rglob("*")) == blobs


def test_a_hostile_image_hides_no_other(ws: Workspace):
    ws.write(
        {
            "loop.tar": tar_of({"var/lib": "/var/lib", "etc/x\x1b[2J": b"x"}),
            "good.tar": tar_of({"var/lib/dpkg/status": status(libssl3="3.0.14-1")}),
            "build.yaml": spec_of(
                bases={"loop": {"tar": "loop.tar"}, "good": {"tar": "good.tar"}},
                outputs={"bad": {"from": "loop", "image": {}}, "fine": {"from": "good", "image": {}}},
            ),
        }
    )
    ws.run("//...")
    done = ws.ok("images", "--containing", "libssl3")
    assert "//:fine" in done.out
    assert "//:bad cannot be searched: too many symlinks" in done.err
    assert "\x1b" not in ws.ok("images", "--with-file", "/etc/x*").out


def test_mistakes(shop: Workspace):
    assert "is no package expression" in shop.fails("images", "--containing", "a=>1", code=2)
    assert "paths are absolute: /usr/bin/perl" in shop.fails("images", "--with-file", "usr/bin/perl", code=2)
    assert "no image among these targets" in shop.fails("images", ":old-files", code=2)
    assert "`graphbuild image ls` lists" in shop.fails("images", "//:nope", code=2)
    (shop.root / "build.yaml").write_text("outputs: {")
    assert "build.yaml:1" in shop.fails("images", code=2)


def test_what_is_not_locked_is_known_from_the_last_build(ws: Workspace):
    ws.write({"build.yaml": spec_of(bases={"b": {"image": "registry.invalid/b:1"}}, outputs={"it": {"from": "b", "image": {}}})})
    done = ws.ok("images")
    assert done.err == "not built: //:it\n"


def test_names_that_are_no_text(ws: Workspace):
    """Whatever bytes a path or a version has, it is shown, and no terminal obeys it."""
    hostile = status(libssl3="1;\x1b[2J") + b"Package: odd\nVersion: \xff\x1b]0;x\x07\n\n"
    ws.write(
        {
            "odd.tar": tar_of({"var/lib/dpkg/status": hostile, "etc/\udcff\x1b[2J": b"x"}),
            "build.yaml": spec_of(bases={"odd": {"tar": "odd.tar"}}, outputs={"it": {"from": "odd", "image": {}}}),
        }
    )
    ws.run(":it")
    done = ws.ok("images", "--with-file", "/etc/*", "--containing", "libssl3<3", "--containing", "odd>1")
    assert done.out.count("//:it") == 3
    assert "deb:odd" in done.err
    assert "counts as odd>1" in done.err
    assert not {"\x1b", "\x07"} & {*done.out, *done.err}
    (image,) = json.loads(ws.ok("images", "--with-file", "/etc/*", "--format", "json").out)["images"]
    assert image["holds"][0]["file"].encode("utf-8", "surrogateescape") == b"/etc/\xff\x1b[2J"
