"""What a hostile reading found: stacks in which a layer comes twice, globs, mounts, exports that collide, locks."""

from workspaces import BASE, Workspace, layers_of, spec_of, taken


def test_a_step_that_puts_back_what_was_there_before_has_the_last_word(ws: Workspace):
    steps = {
        "one": {"from": ["base"], "run": "echo 1 > /x"},
        "two": {"from": ["one"], "run": "echo 2 > /x"},
        "again": {"from": ["two"], "run": "echo 1 > /x"},
        "after": {"from": ["again"], "run": "cat /x > /seen"},
    }
    outputs = {"image": {"from": "after", "image": {"to": {"oci": "dist/image"}}}, **taken("after", "/*", "dist/out")}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, outputs=outputs)})
    ws.run()
    assert (ws.root / "dist/out/x").read_text() == (ws.root / "dist/out/seen").read_text() == "1\n"
    assert layers_of(ws.root / "dist/image")[1:] == [["x"], ["x"], ["seen"]]


def test_a_copy_that_puts_back_what_a_step_changed_has_the_last_word(ws: Workspace):
    copied = {"copy": {"files": "f", "to": "/"}}
    steps = {
        "one": {"from": ["base"], **copied},
        "two": {"from": ["one"], "run": "echo changed > /f"},
        "again": {"from": ["two"], **copied},
    }
    ws.write({"f": "copied\n", "build.yaml": BASE + spec_of(steps=steps, outputs=taken("again", "/f", "dist"))})
    ws.run()
    assert (ws.root / "dist/f").read_text() == "copied\n"


def test_a_union_keeps_what_was_built_on_a_layer_that_both_parents_have(ws: Workspace):
    copied = {"copy": {"files": "f", "to": "/"}}
    steps = {
        "one": {"from": ["base"], **copied},
        "changed": {"from": ["one"], "run": "echo changed > /f"},
        "other": {"from": ["base"], **copied},
        "both": {"from": ["changed", "other"], "run": "true"},
    }
    ws.write({"f": "copied\n", "build.yaml": BASE + spec_of(steps=steps, outputs=taken("both", "/f", "dist"))})
    ws.run()
    assert (ws.root / "dist/f").read_text() == "changed\n"


def test_two_targets_that_write_one_place_are_refused(ws: Workspace):
    steps = {"f": {"copy": {"files": "f", "to": "/"}}}
    outputs = {
        "one": {"from": "f", "image": {"to": {"oci": "dist/it", "docker": "dist/it.tar"}}},
        "two": {"from": "f", "files": {"paths": "/f", "to": {"dir": "dist/it/inside"}}},
    }
    ws.write({"f": "", "build.yaml": spec_of(steps=steps, outputs=outputs)})
    assert "//:two writes dist/it/inside, and //:one writes dist/it" in ws.fails("run", code=2)
    ws.run(":one")
    ws.run(":two", "--output", str(ws.root / "elsewhere"))


def test_a_layer_whose_bytes_were_deleted_is_named_with_its_fix(ws: Workspace):
    steps = {"f": {"copy": {"files": "f", "to": "/"}}, "seen": {"from": ["base", "f"], "run": "cat /f > /seen"}}
    ws.write({"f": "content\n", "build.yaml": BASE + spec_of(steps=steps)})
    ws.run(":f")
    for blob in (ws.store / "blobs").rglob("*"):
        if blob.is_file() and b"content\n" in blob.read_bytes():
            blob.unlink()
    done = ws("run", ":seen")
    assert done.code == 0 or "cache verify --repair" in done.err, done
    ws("cache", "verify", "--repair")
    ws.run(":seen")


def test_times_of_a_healthcheck_are_times(ws: Workspace):
    for value in (".nan", ".inf", "-1", "1e30"):
        check = f"{{test: 'true', interval: {value}}}"
        ws.write({"build.yaml": f"bases: {{b: scratch}}\noutputs: {{x: {{from: b, image: {{config: {{healthcheck: {check}}}}}}}}}\n"})
        assert "build.yaml:2:" in ws.fails("run", code=2)


def test_an_image_replaces_a_layout_that_lost_a_file(ws: Workspace):
    ws.write({"build.yaml": "bases: {b: scratch}\noutputs: {x: {from: b, image: {to: {oci: dist}}}}\n"})
    ws.run()
    (ws.root / "dist/oci-layout").unlink()
    ws.run()
    assert (ws.root / "dist/oci-layout").exists()
