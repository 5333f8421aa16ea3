import hashlib
import json
import os
import subprocess
import sys
import tarfile

import msgspec
import pytest
from images import CONFIG, content, digest_of, layer, run, tar_of

from graphbuild.image.validate import validate_layout
from graphbuild.image.write import ImageContent, ImageLayer, manifest_of, parse_tags, write_docker_archive, write_layout, write_oci_archive
from graphbuild.values.digest import sha256
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError

WRITERS = {
    "layout": lambda image, path: write_layout(image, "gzip", path),
    "oci": lambda image, path: write_oci_archive(image, "gzip", path),
    "docker": write_docker_archive,
}


GOLDEN_DOCKER = "531ceda7afd15f5e49a9f26961c5a073ba96a1e51baddb392be02428decb0982"
GOLDEN_OCI = "df8bab3701473d38cd66aa2f384eaef77f1ca51a5e62d40e4554932cec977457"


def tree(path):
    return (
        {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
        if path.is_dir()
        else path.read_bytes()
    )


def test_the_manifest_has_these_bytes(tmp_path):
    image = ImageContent(CONFIG, (ImageLayer(sha256("1" * 64), 7, tmp_path, (sha256("2" * 64), 5, tmp_path)),), (("k", "v"),))
    config, manifest, config_digest, manifest_digest = manifest_of(image, "zstd")
    assert manifest.decode() == (
        f'{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{len(config)}}},'
        f'"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"{image.layers[0].compressed[0]}","size":5}}],'
        '"mediaType":"application/vnd.oci.image.manifest.v1+json","annotations":{"k":"v"}}'
    )
    assert (config_digest, manifest_digest) == (digest_of(config), digest_of(manifest))
    with pytest.raises(ValueError, match="has no gzip form"):
        manifest_of(ImageContent(CONFIG, (ImageLayer(sha256("1" * 64), 7, tmp_path),)), "gzip")


def test_the_files_have_these_bytes(tmp_path):
    image = ImageContent(CONFIG, tags=("web:1", "me/web:1"))
    write_docker_archive(image, tmp_path / "docker.tar")
    assert hashlib.sha256((tmp_path / "docker.tar").read_bytes()).hexdigest() == GOLDEN_DOCKER
    write_oci_archive(image, "none", tmp_path / "oci.tar")
    assert hashlib.sha256((tmp_path / "oci.tar").read_bytes()).hexdigest() == GOLDEN_OCI


@pytest.mark.parametrize("writer", WRITERS)
def test_the_same_content_gives_the_same_bytes(tmp_path, writer, monkeypatch):
    WRITERS[writer](content(tmp_path / "store"), tmp_path / "one")
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    WRITERS[writer](content(tmp_path / "elsewhere"), tmp_path / "two" / "deep")
    assert tree(tmp_path / "one") == tree(tmp_path / "two" / "deep")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("changes", [{}, {"layers": ()}, {"tags": ()}, {"tags": ("a:1", "b:1", "a:2")}])
def test_what_is_written_is_valid(tmp_path, writer, changes):
    digest = WRITERS[writer](content(tmp_path / "store", **changes), tmp_path / "out")
    assert validate_layout(tmp_path / "out") == []
    assert digest.algorithm == "sha256"


def test_a_layer_that_is_there_twice_is_stored_once(tmp_path):
    one = layer(tmp_path / "store", {"a": b"1"})
    write_docker_archive(content(tmp_path / "store", layers=(one, one)), tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names)) == 8
    assert validate_layout(tmp_path / "out.tar") == []


def test_tags_are_named_for_skopeo_and_containerd(tmp_path):
    write_layout(content(tmp_path / "store", tags=("web", "reg.example/x:latest", "web:2", "web:2")), "gzip", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_bytes())
    assert [item["annotations"] for item in index["manifests"]] == [
        {"io.containerd.image.name": "docker.io/library/web:latest", "org.opencontainers.image.ref.name": "latest"},
        {"io.containerd.image.name": "reg.example/x:latest"},
        {"io.containerd.image.name": "docker.io/library/web:2", "org.opencontainers.image.ref.name": "2"},
    ]


@pytest.mark.parametrize("tag", ["Web:1", "a b", "web@sha256:" + "0" * 64, ""])
def test_bad_tags_are_mistakes(tag):
    with pytest.raises(GraphbuildError, match="bad tag"):
        parse_tags((tag,))


def test_a_layout_is_replaced_and_anything_else_is_not(tmp_path):
    out = tmp_path / "out"
    write_layout(content(tmp_path / "store"), "gzip", out)
    write_layout(content(tmp_path / "store", layers=()), "gzip", out)
    assert validate_layout(out) == []
    assert len(os.listdir(out / "blobs" / "sha256")) == 2
    (out / "notes.txt").write_text("mine")
    with pytest.raises(GraphbuildError, match=r"something else \(notes.txt\)"):
        write_layout(content(tmp_path / "store"), "gzip", out)
    (tmp_path / "folder" / "blobs").mkdir(parents=True)
    with pytest.raises(GraphbuildError, match="neither oci-layout nor"):
        write_layout(content(tmp_path / "store"), "gzip", tmp_path / "folder")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(GraphbuildError, match="a file is there"):
        write_layout(content(tmp_path / "store"), "gzip", tmp_path / "file")
    with pytest.raises(GraphbuildError, match="a folder is there"):
        write_docker_archive(content(tmp_path / "store"), tmp_path / "folder")
    (tmp_path / "empty").mkdir()
    write_layout(content(tmp_path / "store"), "gzip", tmp_path / "empty")
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "folder", "out", "store"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_blob_that_is_not_what_was_said_leaves_nothing(tmp_path, writer):
    image = content(tmp_path / "store")
    one = image.layers[0]
    short = msgspec.structs.replace(one, size=one.size + 1, compressed=(one.compressed[0], one.compressed[1] + 1, one.compressed[2]))
    with pytest.raises(GraphbuildError, match="cannot write") as error:
        WRITERS[writer](msgspec.structs.replace(image, layers=(short,)), tmp_path / "out")
    assert error.value.exit_code == EXIT_FAILED
    gone = msgspec.structs.replace(one, blob=tmp_path / "gone", compressed=(*one.compressed[:2], tmp_path / "gone"))
    with pytest.raises(GraphbuildError, match="No such file"):
        WRITERS[writer](msgspec.structs.replace(image, layers=(gone,)), tmp_path / "out")
    assert os.listdir(tmp_path) == ["store"]


def test_a_layout_shares_no_inode_with_the_store(tmp_path):
    image = content(tmp_path / "store")
    write_layout(image, "none", tmp_path / "out")
    for one in image.layers:
        copy = tmp_path / "out" / "blobs" / "sha256" / one.diff_id.hex
        assert not copy.samefile(one.blob)


def test_an_archive_larger_than_ustar_can_say(tmp_path):
    huge = (8 << 30) + 5
    blob = tmp_path / "sparse"
    blob.touch()
    os.truncate(blob, huge)
    from graphbuild.image.write import header

    header = header("blobs/x", huge, 0)
    assert tarfile.TarInfo.frombuf(header, "utf-8", "strict").size == huge


def test_memory_does_not_grow_with_a_layer(tmp_path):
    big = tmp_path / "big"
    big.touch()
    os.truncate(big, 150 << 20)
    code = (
        "import sys; from pathlib import Path; from graphbuild.image.write import *; from graphbuild.values.config import Config;"
        "from graphbuild.values.digest import sha256\n"
        "write_docker_archive(ImageContent(Config(), (ImageLayer(sha256('0' * 64), 150 << 20, Path(sys.argv[1])),)), Path(sys.argv[2]))\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, big, tmp_path / "out.tar"], check=True, capture_output=True)
    assert (tmp_path / "out.tar").stat().st_size > 150 << 20
    assert int(done.stdout) < 80 << 10  # KiB


# Real tools


@pytest.mark.parametrize(
    ("transport", "writer", "tag"), [("oci", "layout", "1"), ("oci-archive", "oci", "1"), ("docker-archive", "docker", "")]
)
def test_skopeo_reads_it(tmp_path, transport, writer, tag):
    image = content(tmp_path / "store")
    WRITERS[writer](image, tmp_path / "out")
    where = f"{transport}:{tmp_path / 'out'}" + (f":{tag}" if tag else "")
    config = json.loads(run("skopeo", "inspect", "--config", where))
    assert config["config"]["Entrypoint"] == ["/bin/web"]
    assert config["rootfs"]["diff_ids"] == [str(one.diff_id) for one in image.layers]
    run("skopeo", "copy", where, f"dir:{tmp_path / 'copy'}")


def test_skopeo_finds_each_tag_of_a_docker_archive(tmp_path):
    write_docker_archive(content(tmp_path / "store", tags=("web:1", "reg.example/me/web:2")), tmp_path / "out.tar")
    for tag in ("web:1", "docker.io/library/web:1", "reg.example/me/web:2"):
        run("skopeo", "inspect", "--raw", f"docker-archive:{tmp_path / 'out.tar'}:{tag}")


def test_umoci_unpacks_it(tmp_path):
    write_layout(content(tmp_path / "store"), "gzip", tmp_path / "out")
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path / 'out'}:1", tmp_path / "bundle")
    assert (tmp_path / "bundle" / "rootfs" / "a").read_bytes() == b"one"
    assert os.readlink(tmp_path / "bundle" / "rootfs" / "c") == "b"


def test_gnu_tar_reads_an_archive(tmp_path):
    data = tar_of({"a": b"one"})
    image = content(tmp_path / "store", layers=(layer(tmp_path / "store", {"a": b"one"}),))
    write_docker_archive(image, tmp_path / "out.tar")
    run("tar", "-C", tmp_path, "-xf", tmp_path / "out.tar", f"blobs/sha256/{digest_of(data).hex}")
    assert (tmp_path / "blobs" / "sha256" / digest_of(data).hex).read_bytes() == data
