import gzip
import json

from images import add_blob, add_image, add_json, content, digest_of, run, set_index, tar_of

from graphbuild.image.validate import validate_layout
from graphbuild.image.write import write_layout

INDEX = "application/vnd.oci.image.index.v1+json"


def test_a_sound_layout_has_no_problems(tmp_path):
    write_layout(content(tmp_path / "store"), "gzip", tmp_path / "out")
    assert validate_layout(tmp_path / "out") == []
    run("skopeo", "copy", f"oci:{tmp_path / 'out'}:1", f"oci:{tmp_path / 'other'}:1")
    assert validate_layout(tmp_path / "other") == []


def test_all_that_is_wrong_is_named(tmp_path):
    image = content(tmp_path / "store")
    write_layout(image, "gzip", tmp_path / "out")
    blobs = tmp_path / "out" / "blobs" / "sha256"
    first, second = (one.compressed[0].hex for one in image.layers)
    (blobs / first).write_bytes(b"short")
    damaged = bytearray((blobs / second).read_bytes())
    damaged[-1] ^= 1
    (blobs / second).write_bytes(damaged)
    (blobs / "stray").write_bytes(b"")
    problems = "\n".join(validate_layout(tmp_path / "out"))
    assert f"blobs/sha256/{first}: its bytes have sha256:" in problems
    assert f"blobs/sha256/{second}: its bytes have sha256:" in problems
    assert f"sha256:{first}: has 5 bytes, its descriptor says" in problems
    assert "stray" in problems
    (blobs / second).unlink()
    assert f"sha256:{second}: missing" in "\n".join(validate_layout(tmp_path / "out"))


def test_a_layer_that_unpacks_to_something_else_is_named(tmp_path):
    packed = gzip.compress(tar_of({"file": b"other"}))
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": str(add_blob(tmp_path, packed)), "size": len(packed)}
    set_index(tmp_path, add_image(tmp_path, manifest={"layers": [layer]}))
    (problem,) = validate_layout(tmp_path)
    assert f"{digest_of(packed)}: unpacks to sha256:" in problem
    set_index(tmp_path, add_image(tmp_path, manifest={"layers": [layer, layer]}))
    (problem,) = validate_layout(tmp_path)
    assert "names 1 diff_ids for 2 layers" in problem


def test_a_chain_of_two_thousand_indexes_is_walked(tmp_path):
    descriptor = add_image(tmp_path)
    for _ in range(2000):
        descriptor = add_json(tmp_path, INDEX, {"schemaVersion": 2, "manifests": [descriptor]})
    set_index(tmp_path, descriptor)
    assert validate_layout(tmp_path) == []


def test_what_is_no_layout_is_one_problem(tmp_path):
    assert len(validate_layout(tmp_path)) == 1
    assert len(validate_layout(tmp_path / "missing")) == 1
    (tmp_path / "oci-layout").write_text("{}")
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "x", "digest": "../x", "size": 0}]}))
    assert len(validate_layout(tmp_path)) == 2
