import bz2
import gzip
import hashlib
import json
import lzma
import os
import tarfile

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from images import CONFIG, add_blob, add_image, add_json, content, digest_of, run, set_index, tar_of

from graphbuild.image.read import open_image
from graphbuild.image.write import write_docker_archive, write_layout, write_oci_archive
from graphbuild.values.errors import GraphbuildError

INDEX = "application/vnd.oci.image.index.v1+json"
TAG = "org.opencontainers.image.ref.name"


def text_of(path, **options):
    """The content of `file` in the last layer: tells images of one layout apart."""
    with (
        open_image(path, **options) as image,
        image.open_layer(len(image.layers) - 1) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        return tar.extractfile(tar.next()).read()


def read_all(image):
    stored = []
    for index in range(len(image.layers)):
        with image.open_layer(index) as stream:
            stored.append(stream.read())
    return stored


def check_read(image, path, **options):
    """The image at `path` is `image`: config, diff_ids, and bytes that unpack to them."""
    with open_image(path, **options) as found:
        assert found.config == image.config
        assert [one.diff_id for one in found.layers] == [one.diff_id for one in image.layers]
        for one, stored in zip(found.layers, read_all(found), strict=True):
            assert (digest_of(stored), len(stored)) == (one.digest, one.size)
            data = gzip.decompress(stored) if one.media_type.endswith("gzip") else stored
            data = zstandard.ZstdDecompressor().decompressobj().decompress(stored) if one.media_type.endswith("zstd") else data
            assert digest_of(data) == one.diff_id
        return found


# What we write


@pytest.mark.parametrize("reference", ["", "1", "registry.example/web:1"])
def test_what_is_written_is_read(tmp_path, reference):
    image = content(tmp_path / "store")
    digests = {write_layout(image, "gzip", tmp_path / "layout"), write_oci_archive(image, "gzip", tmp_path / "oci.tar")}
    for name in ("layout", "oci.tar"):
        found = check_read(image, tmp_path / name, reference=reference)
        assert {found.digest} == digests
        check_read(image, tmp_path / name, reference=str(found.digest))
    write_docker_archive(image, tmp_path / "docker.tar")
    check_read(image, tmp_path / "docker.tar", reference=reference)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_archive_is_read(tmp_path, pack):
    image = content(tmp_path / "store")
    write_oci_archive(image, "gzip", tmp_path / "oci.tar")
    (tmp_path / "packed").write_bytes(pack((tmp_path / "oci.tar").read_bytes()))
    (tmp_path / "scratch").mkdir()
    check_read(image, tmp_path / "packed", scratch=tmp_path / "scratch")
    assert os.listdir(tmp_path / "scratch") == []


# What others write


def skopeo(tmp_path, image, target, *options):
    write_layout(image, "gzip", tmp_path / "source")
    run("skopeo", "copy", *options, f"oci:{tmp_path / 'source'}:1", target)


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_read(tmp_path, form):
    image = content(tmp_path / "store")
    skopeo(tmp_path, image, f"{form}:{tmp_path / 'out'}:reg.example/x:7")
    check_read(image, tmp_path / "out", reference="reg.example/x:7")
    check_read(image, tmp_path / "out")


def test_zstd_layers_are_read(tmp_path):
    image = content(tmp_path / "store")
    skopeo(tmp_path, image, f"oci:{tmp_path / 'out'}:1", "--dest-compress-format", "zstd", "--dest-compress")
    found = check_read(image, tmp_path / "out", reference="1")
    assert found.layers[0].media_type.endswith(("zstd", "gzip"))


def test_dockers_media_types_are_read(tmp_path):
    data = tar_of({"file": b"docker"})
    packed = gzip.compress(data)
    kind = "application/vnd.docker."
    rootfs = {"type": "layers", "diff_ids": [str(digest_of(data))]}
    config = add_json(tmp_path, f"{kind}container.image.v1+json", {"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    layer = {"mediaType": f"{kind}image.rootfs.diff.tar.gzip", "digest": str(add_blob(tmp_path, packed)), "size": len(packed)}
    manifest = add_json(tmp_path, f"{kind}distribution.manifest.v2+json", {"schemaVersion": 2, "config": config, "layers": [layer]})
    listing = add_json(tmp_path, f"{kind}distribution.manifest.list.v2+json", {"schemaVersion": 2, "manifests": [manifest]})
    set_index(tmp_path, listing)
    with open_image(tmp_path) as image:
        assert read_all(image) == [packed]


def docker_archive(path, files, images):
    path.write_bytes(tar_of({**files, "manifest.json": json.dumps(images).encode()}))


def docker_config(*tars, **more):
    diff_ids = [str(digest_of(data)) for data in tars]
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more}).encode()


def test_an_old_docker_archive_is_read_links_and_all(tmp_path):
    one, two = tar_of({"file": b"1"}), tar_of({"file": b"2"})
    config = docker_config(one, two, one)
    name = f"{digest_of(config).hex}.json"
    layers = [f"{number * 64}/layer.tar" for number in "abc"]
    files = {layers[0]: one, "abc/json": b"{}", layers[1]: two, layers[2]: (tarfile.SYMTYPE, f"../{layers[0]}"), name: config}
    other = docker_config(two)
    files |= {"other.json": other}
    images = [
        {"Config": name, "RepoTags": ["web:1", "web:latest"], "Layers": layers},
        {"Config": "other.json", "RepoTags": None, "Layers": layers[1:2]},
    ]
    docker_archive(tmp_path / "a.tar", files, images)
    for reference in ("web", "web:1", "docker.io/library/web:1", str(digest_of(config))):
        with open_image(tmp_path / "a.tar", reference=reference) as image:
            assert read_all(image) == [one, two, one]
            assert image.digest == digest_of(config)
    with pytest.raises(GraphbuildError, match="several images") as error:
        open_image(tmp_path / "a.tar")
    assert error.value.problems[0].hint == "there is: web:1, web:latest, other.json"
    with pytest.raises(GraphbuildError, match="no image web:3"):
        open_image(tmp_path / "a.tar", reference="web:3")
    with pytest.raises(GraphbuildError, match="no image for linux/arm64"):
        open_image(tmp_path / "a.tar", reference="web", platform="linux/arm64")
    (tmp_path / "folder").mkdir()
    run("tar", "-C", tmp_path / "folder", "-xf", tmp_path / "a.tar")
    assert text_of(tmp_path / "folder", reference="web:1") == b"1"


def test_compressed_layers_in_a_docker_archive_are_read(tmp_path):
    one, two = tar_of({"file": b"1"}), tar_of({"file": b"2"})
    packed = [gzip.compress(one), gzip.compress(two)]
    files = {f"{digest_of(packed[0]).hex}.tar.gz": packed[0], "x.tgz": packed[1], "sha256:config": docker_config(one, two)}
    docker_archive(tmp_path / "a.tar", files, [{"Config": "sha256:config", "Layers": list(files)[:2]}])
    with open_image(tmp_path / "a.tar") as image:
        assert [layer.digest for layer in image.layers] == [digest_of(data) for data in packed]
        assert read_all(image) == packed


# Which image


def test_tags_and_digests_choose(tmp_path):
    one = add_image(tmp_path, text=b"1", descriptor={"annotations": {TAG: "1"}})
    two = add_image(
        tmp_path, text=b"2", descriptor={"annotations": {TAG: "reg.example/x:2", "io.containerd.image.name": "reg.example/x:2"}}
    )
    set_index(tmp_path, one, two)
    assert text_of(tmp_path, reference="1") == b"1"
    assert text_of(tmp_path, reference="reg.example/x:2") == b"2"
    assert text_of(tmp_path, reference=two["digest"]) == b"2"
    assert text_of(tmp_path, reference=f"any@{one['digest']}") == b"1"
    with pytest.raises(GraphbuildError, match="several images") as error:
        open_image(tmp_path)
    assert error.value.problems[0].hint == "there is: 1, reg.example/x:2"
    with pytest.raises(GraphbuildError, match="no image nope"):
        open_image(tmp_path, reference="nope")


def test_several_tags_of_one_image_are_one_image(tmp_path):
    one = add_image(tmp_path, text=b"1")
    set_index(tmp_path, one | {"annotations": {TAG: "1"}}, one | {"annotations": {TAG: "latest"}})
    assert text_of(tmp_path) == b"1"


def platforms(tmp_path, *found):
    """An index in an index of images, each holding its platform's name."""
    images = []
    for name in found:
        architecture, _, variant = name.partition("/")
        platform = {"os": "linux", "architecture": architecture} | ({"variant": variant} if variant else {})
        images.append(
            add_image(tmp_path, text=name.encode(), architecture=architecture, variant=variant, descriptor={"platform": platform})
        )
    noise = add_image(tmp_path, text=b"attestation", descriptor={"annotations": {"vnd.docker.reference.type": "attestation-manifest"}})
    inner = add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": [*images, noise]})
    set_index(tmp_path, add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": [inner]}, annotations={TAG: "1"}))


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux/arm64", "arm64"),
        ("linux/arm64/v8", "arm64"),
        ("linux/arm/v7", "arm/v7"),
        ("linux/arm", "arm/v7"),
        ("linux/arm/v6", "arm/v6"),
        ("linux/arm/v8", "arm/v7"),
    ],
)
def test_the_platform_chooses_through_nested_indexes(tmp_path, platform, expected):
    platforms(tmp_path, "arm/v6", "arm/v7", "arm64", "s390x")
    assert text_of(tmp_path, reference="1", platform=platform) == expected.encode()


def test_platforms_that_are_not_there_are_told(tmp_path):
    platforms(tmp_path, "mips", "arm/v7")
    with pytest.raises(GraphbuildError, match="no image for linux/amd64") as error:
        open_image(tmp_path, platform="linux/amd64")
    assert error.value.problems[0].hint == "there is: linux/arm/v7, linux/mips"
    with pytest.raises(GraphbuildError, match="no image for linux/"):
        open_image(tmp_path)
    with pytest.raises(GraphbuildError, match="is not a platform"):
        open_image(tmp_path, platform="amd64")


def test_an_image_that_is_alone_is_taken_unless_another_platform_is_asked_for(tmp_path):
    set_index(tmp_path, add_image(tmp_path, architecture="mips"))
    assert text_of(tmp_path) == b"x"
    with pytest.raises(GraphbuildError, match="no image for linux/amd64"):
        open_image(tmp_path, platform="linux/amd64")


def test_the_config_has_the_last_word_on_the_platform(tmp_path):
    set_index(tmp_path, add_image(tmp_path, architecture="mips", descriptor={"platform": {"os": "linux", "architecture": "amd64"}}))
    with pytest.raises(GraphbuildError, match="no image for linux/amd64"):
        open_image(tmp_path, platform="linux/amd64")


# Hostile input


def refused(path, match, **options):
    with pytest.raises(GraphbuildError, match=match) as error:
        open_image(path, source="//app:base", **options)
    assert "//app:base: " in str(error.value)


def blob(folder, descriptor):
    return folder / "blobs" / "sha256" / descriptor["digest"].partition(":")[2]


def test_corrupt_documents_and_layers_are_named(tmp_path):
    image = add_image(tmp_path)
    set_index(tmp_path, image)
    manifest = json.loads(blob(tmp_path, image).read_bytes())
    layer = blob(tmp_path, manifest["layers"][0])
    layer.write_bytes(b"!" + layer.read_bytes()[1:])
    with open_image(tmp_path) as found, found.open_layer(0) as stream, pytest.raises(GraphbuildError, match=f"{layer.name} is corrupt"):
        list(iter(lambda: stream.read(1000), b""))
    layer.write_bytes(b"short")
    refused(tmp_path, f"{layer.name} has 5 bytes")
    layer.unlink()
    refused(tmp_path, f"{layer.name} is missing")
    config = blob(tmp_path, manifest["config"])
    config.write_bytes(config.read_bytes().replace(b"linux", b"Linux"))
    refused(tmp_path, f"{config.name} is corrupt")
    blob(tmp_path, image).write_bytes(b"{}")
    refused(tmp_path, "has 2 bytes, its descriptor says")
    blob(tmp_path, image).unlink()
    refused(tmp_path, "is missing")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}}, "artifact"),
        ({"layers": []}, "names 1 layers, manifest .* 0"),
        ({"layers": [{"mediaType": "text/plain", "digest": "sha256:" + "0" * 64, "size": 1}]}, "no layer of an image"),
        ({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:../../x", "size": 1}]}, "is not a digest"),
        (
            {"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "blake3:" + "0" * 64, "size": 1}]},
            "sha256 or sha512",
        ),
        ({"layers": "x"}, "is not valid"),
    ],
)
def test_manifests_that_make_no_sense(tmp_path, changes, match):
    set_index(tmp_path, add_image(tmp_path, manifest=changes))
    refused(tmp_path, match)


def test_a_config_that_makes_no_sense(tmp_path):
    set_index(tmp_path, add_image(tmp_path, config={"config": {"Env": ["A=\0"]}}))
    refused(tmp_path, "NUL")
    set_index(tmp_path, add_image(tmp_path, config={"rootfs": {"type": "layers", "diff_ids": ["x"]}}))
    refused(tmp_path, "is not a digest")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schemaVersion":2,"manifests":[]}', '{"schemaVersion":2,"manifests":[{"mediaType":"x"}]}', "[" * 100_000]
)
def test_an_index_that_makes_no_sense(tmp_path, text):
    set_index(tmp_path)
    (tmp_path / "index.json").write_text(text)
    refused(tmp_path, "index.json is not valid|holds no image")


def test_indexes_without_end_are_refused(tmp_path):
    descriptor = add_image(tmp_path)
    for _ in range(20):
        descriptor = add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": [descriptor]})
    set_index(tmp_path, descriptor)
    refused(tmp_path, "nested deeper")
    wide = [{"mediaType": INDEX, "digest": f"sha256:{number:064x}", "size": 1} for number in range(5000)]
    set_index(tmp_path, *wide)
    refused(tmp_path, "is missing")
    platform = {"architecture": "amd64", "os": "linux"}
    set_index(tmp_path, *(one | {"mediaType": "application/vnd.oci.image.manifest.v1+json", "platform": platform} for one in wide))
    refused(tmp_path, "more than 1000 manifests")
    # An index that names itself cannot have its digest.
    loop = add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": []})
    body = json.dumps({"schemaVersion": 2, "manifests": [loop]}).encode()
    blob(tmp_path, loop).write_bytes(body)
    set_index(tmp_path, loop | {"size": len(body)})
    refused(tmp_path, "is corrupt")


def test_documents_larger_than_any_registry_takes_are_refused(tmp_path):
    set_index(tmp_path, add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": [], "x": "x" * (9 << 20)}))
    refused(tmp_path, "at most 8388608 are read")


def test_symlinks_that_leave_a_folder_are_refused_and_those_inside_are_not(tmp_path):
    layout = tmp_path / "layout"
    image = add_image(layout)
    set_index(layout, image)
    inside = layout / "blobs" / "manifest"
    blob(layout, image).rename(inside)
    blob(layout, image).symlink_to("../manifest")
    assert text_of(layout) == b"x"
    inside.rename(tmp_path / "outside")
    blob(layout, image).unlink()
    blob(layout, image).symlink_to(tmp_path / "outside")
    refused(layout, "leaves the folder")
    blob(layout, image).unlink()
    os.mkfifo(blob(layout, image))
    refused(layout, "not a regular file")


@pytest.mark.parametrize(
    ("files", "images", "match"),
    [
        ({}, [{"Config": "../../etc/passwd", "Layers": []}], "leaves the archive"),
        ({}, [{"Config": "/etc/passwd", "Layers": []}], "leaves the archive"),
        ({"c": (tarfile.SYMTYPE, "/etc/passwd")}, [{"Config": "c", "Layers": []}], "leaves the archive"),
        ({"c": (tarfile.SYMTYPE, "d"), "d": (tarfile.SYMTYPE, "c")}, [{"Config": "c", "Layers": []}], "circle"),
        ({"c": (tarfile.CHRTYPE, "")}, [{"Config": "c", "Layers": []}], "not a regular file"),
        ({}, [{"Config": "c", "Layers": []}], "c is missing"),
        ({"c": docker_config()}, [{"Config": "c", "Layers": ["a"]}], "names 0 layers, manifest.json 1"),
        ({"c": docker_config(b"")}, [{"Config": "c", "Layers": ["a"]}], "a is missing"),
        ({"0" * 64 + ".json": docker_config()}, [{"Config": "0" * 64 + ".json", "Layers": []}], "is corrupt"),
        ({"c": b"{"}, [{"Config": "c"}], "is not valid"),
        ({}, [], "holds no image"),
        ({}, {"Config": "c"}, "is not valid"),
    ],
)
def test_docker_archives_that_make_no_sense(tmp_path, files, images, match):
    docker_archive(tmp_path / "a.tar", files, images)
    refused(tmp_path / "a.tar", match)


def test_what_is_no_image_is_a_mistake(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello" * 1000)
    (tmp_path / "tar").write_bytes(tar_of({"etc/passwd": b"x"}))
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"hello" * 1000))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(tar_of({"manifest.json": os.urandom(100_000)}))[:50_000])
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in os.listdir(tmp_path):
        refused(tmp_path / name, "not an image|no image|neither a folder nor a file|cut|end")
    refused(tmp_path / "missing", "No such file")


def test_a_tar_that_is_cut_short_is_a_mistake(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of({"manifest.json": b"x" * 5000})[:2000])
    refused(tmp_path / "a.tar", "cut short")


def test_long_names_of_every_tar_format_are_read(tmp_path):
    config = docker_config()
    name = "d" * 120 + "/" + "n" * 150
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=kind) as tar:
            for path, data in ((f"./{name}", config), ("manifest.json", json.dumps([{"Config": name}]).encode())):
                (tmp_path / "data").write_bytes(data)
                tar.add(tmp_path / "data", path)
        with open_image(tmp_path / "a.tar") as image:
            assert image.layers == ()


@settings(deadline=None, max_examples=150)
@given(position=st.integers(0, 12_000), byte=st.integers(0, 255), cut=st.integers(0, 14_000))
def test_random_damage_never_ends_in_a_traceback(tmp_path_factory, position, byte, cut):
    folder = tmp_path_factory.getbasetemp() / "damage"
    if not folder.exists():
        folder.mkdir()
        write_docker_archive(content(folder / "store", layers=content(folder / "store").layers[:1]), folder / "good.tar")
    data = bytearray((folder / "good.tar").read_bytes())
    data[position % len(data)] = byte
    target = folder / f"bad-{os.getpid()}.tar"
    target.write_bytes(data[: len(data) - cut % len(data)] if cut % 3 == 0 else data)
    try:
        with open_image(target) as image:
            stored = read_all(image)
        assert [hashlib.sha256(one).hexdigest() for one in stored] == [layer.digest.hex for layer in image.layers]
        assert image.config == CONFIG
    except GraphbuildError:
        pass
    finally:
        target.unlink()


def test_nothing_stays_open(tmp_path):
    write_docker_archive(content(tmp_path / "store"), tmp_path / "a.tar")
    before = len(os.listdir("/proc/self/fd"))
    check_read(content(tmp_path / "store"), tmp_path / "a.tar")
    for reference in ("nope", ""):
        with pytest.raises(GraphbuildError):
            open_image(tmp_path / "a.tar", reference=reference, platform="linux/mips")
    assert len(os.listdir("/proc/self/fd")) == before
