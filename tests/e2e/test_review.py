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
