"""What users ask besides `run`: plan, explain, graph, check, schema, cache, completion, shell, and what mistakes look like."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from workspaces import BASE, Workspace

SPEC = (
    BASE
    + """\
steps:
  code: {copy: {files: ["src/**"], to: /app}}
  made: {from: [base, code], run: cat /app/src/a > /made, env: {WHO: me}, workdir: /tmp, visibility: public}
outputs:
  web: {from: made, image: {to: {oci: dist/web}}}
"""
)


@pytest.fixture
def web(ws: Workspace) -> Workspace:
    ws.write({"build.yaml": SPEC, "src/a": "a", "lib/build.yaml": "steps: {x: {from: //:made, run: echo x > /x}}\n"})
    return ws


def test_a_plan_says_what_would_run_and_why_and_runs_nothing(web: Workspace):
    said = web.ok("plan").out
    assert "run     //:code copy\n          it was never built here\n" in said
    assert "perhaps //:made run" in said
    assert said.endswith("2 would run, 3 perhaps, 0 cached\n")
    assert not (web.root / "dist").exists()
    assert web.ok("run", "--dry-run").out == said
    web.run()
    assert web.ok("plan").out == "0 would run, 0 perhaps, 5 cached\n"
    web.write({"src/a": "b"})
    said = web.ok("plan").out
    assert said.startswith("run     //:code copy\n")
    assert said.endswith("1 would run, 3 perhaps, 1 cached\n")


def test_explain_says_why_the_last_run_built_it(web: Workspace):
    assert "never built" in web.fails("explain", ":made", code=1)
    web.run()
    web.write({"build.yaml": SPEC.replace("WHO: me", "WHO: you")})
    web.run()
    said = web.ok("explain", ":made").out
    assert "//:made run: built" in said
    assert "because env: WHO changed, me → you" in said
    web.write({"src/a": "b", "src/new": "n"})
    web.run()
    said = web.ok("explain", ":code").out
    assert "file /app/src/a changed" in said
    assert "file /app/src/new added" in said
    web.run("-j2")
    assert "cached" in web.ok("explain", ":code").out


def test_the_graph_in_every_format(web: Workspace):
    assert "//:made (run)\n" in web.ok("graph", ":web").out
    dot = web.ok("graph", "//...", "--format=dot").out
    assert dot.startswith("digraph")
    assert '"//lib:x" -> "//:made"' in dot
    mermaid = web.ok("graph", "--format=mermaid").out
    assert mermaid.startswith("flowchart LR")
    assert "//:web" in mermaid
    assert web.ok("graph", "--format=html").out.startswith("<!doctype html>")


def test_check_reads_everything_and_builds_nothing(web: Workspace):
    assert web.ok("check").out == "5 targets in 2 packages are well formed\n"
    web.write({"lib/build.yaml": "steps: {x: {from: //:nothing, run: a}, z: {rum: b}}\n"})
    said = web.fails("check", code=2)
    assert "lib/build.yaml:1:" in said
    assert "did you mean 'run'" in said


def test_schemas_are_json(web: Workspace):
    assert "steps" in json.loads(web.ok("schema").out)["properties"]
    assert "jobs" in json.loads(web.ok("schema", "--settings").out)["properties"]


def test_looking_after_the_store(web: Workspace):
    assert web.ok("cache", "dir").out == f"{web.store}\n"
    web.run()
    assert "actions" in web.ok("cache", "stats").out
    assert web.ok("cache", "verify").out == "the store is intact\n"
    assert "would remove" in web.ok("cache", "gc", "--max-size=0", "--dry-run").out
    assert set(web.statuses().values()) == {"cached"}
    web.ok("cache", "gc", "--max-size", "0")
    first = (web.root / "dist/web/index.json").read_bytes()
    assert "//:made#run" in web.built()
    assert (web.root / "dist/web/index.json").read_bytes() == first
    assert "bound" in web.fails("cache", "gc", code=2)


def test_damage_is_found_and_repaired_and_built_again(web: Workspace):
    web.run()
    before = (web.root / "dist/web/index.json").read_bytes()
    for blob in (path for path in (web.store / "blobs").rglob("*") if path.is_file()):
        blob.chmod(0o644)
        blob.write_bytes(b"damage" + blob.read_bytes()[6:])
    assert "damaged" in web("cache", "verify").out
    web.ok("cache", "verify", "--repair")
    assert web.ok("cache", "verify").out == "the store is intact\n"
    (web.root / "dist/web/index.json").unlink()
    web.run()
    assert (web.root / "dist/web/index.json").read_bytes() == before


def test_a_certificate_does_not_outlive_what_gc_removed(web: Workspace):
    web.run()
    web.run()
    assert web.run().certified
    web.ok("cache", "gc", "--max-size=0")
    assert not web.run().certified


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(web: Workspace, shell: str):
    assert "__complete" in web.ok("completion", shell).out
    assert "//lib:x" in web.ok("__complete", "run", "//").out.splitlines()
    assert "--events" in web.ok("__complete", "run", "--e").out


def test_a_shell_in_a_step(web: Workspace):
    assert web.ok("shell", ":made", "--", "cat", "/made").out == "a"
    assert web.ok("shell", ":made", "--", "sh", "-c", "echo $WHO; pwd").out == "me\n/tmp\n"
    assert web("shell", ":made", "--before", "--", "test", "-e", "/made").code == 1
    assert web("shell", ":made", "--", "sh", "-c", "exit 9").code == 9
    web.ok("shell", ":made", "--", "sh", "-c", "echo gone > /gone")
    assert web("shell", ":made", "--", "test", "-e", "/gone").code == 1


def test_a_shell_in_what_a_failed_step_left(web: Workspace):
    web.write({"build.yaml": SPEC.replace("cat /app/src/a > /made", "echo half > /half; false")})
    assert "graphbuild shell //:made" in web.fails("run")
    done = web.ok("shell", ":made", "--", "cat", "/half")
    assert done.out == "half\n"
    assert "this is what it left behind" in done.err


def test_a_profile_is_a_chrome_trace(web: Workspace, folder: Path):
    web.run(f"--profile={folder}/trace.json")
    trace = json.loads((folder / "trace.json").read_text())
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    assert any("//:made" in event["name"] for event in events)


def test_the_log_of_builds_is_in_the_store(web: Workspace):
    web.run()
    assert "//:made" in (web.store / "log/graphbuild.log").read_text()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("steps:\n  a: {from: b, run: x}\n  b: {from: c, run: x}\n  c: {from: a, run: x}\n", ["//:a", "//:b", "//:c", "build.yaml:"]),
        ("steps:\n  a: {from: nothere, run: x}\n  nother: {copy: a}\n", ["build.yaml:2:", "no target 'nothere'", "did you mean 'nother'"]),
        ("steps:\n  a: {run: x, copy: z}\n", ["build.yaml:2:", "'run'", "'copy'"]),
        ("steps:\n  a: {run: x}\n  a: {run: z}\n", ["build.yaml:3:", "'a'"]),
        ("steps:\n  a: {run: 'echo ${nothere}'}\n", ["build.yaml:2:", "nothere"]),
        ("steps:\n  a: {run: x, envv: {}}\n", ["build.yaml:2:", "did you mean 'env'"]),
        ("steps:\n  a: {from: //no/such:x, run: x}\n", ["build.yaml:2:", "//no/such"]),
        ("outputs:\n  a: {image: {to: {oci: dist}}}\n", ["build.yaml:2:", "an image needs files"]),
        ("steps:\n  a: {copy: {files: x, to: rel}}\n", ["build.yaml:2:", "absolute"]),
        ("steps:\n  a: {copy: ../x}\n", ["build.yaml:2:", "leaves its package"]),
        ("bases:\n  a: {tar: missing.tar}\nsteps: {b: {from: a, run: x}}\n", ["missing.tar", "build.yaml:2"]),
        ("steps: [", ["build.yaml:1"]),
    ],
)
def test_mistakes_are_exit_code_2_with_their_place(ws: Workspace, spec: str, words: list[str]):
    ws.write({"build.yaml": spec})
    said = ws.fails("run", code=2)
    for word in words:
        assert word in said, f"{word} is not in:\n{said}"


def test_a_label_that_nothing_declares_is_answered_with_those_that_are_near(web: Workspace):
    assert "did you mean 'made'" in web.fails("run", ":mado", code=2)
    assert "//nowhere" in web.fails("run", "//nowhere:x", code=2)


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/store"])
def test_a_store_that_cannot_be_made_is_said_to_be(ws, place):
    ws.write({"build.yaml": "bases: {nothing: scratch}\n"})
    assert "with --store or GRAPHBUILD_STORE" in ws.fails("run", "--store", place, code=2)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("rnu", "'run'"),
        ("build", "`graphbuild run`"),
        ("ps", "`graphbuild container ps`"),
        ("rmi", "`graphbuild image rm`"),
        ("zzz", "--help"),
    ],
)
def test_a_command_that_is_none_names_what_is_near(ws: Workspace, typed: str, hint: str):
    said = ws.fails(typed, code=2)
    assert f"there is no command '{typed}'" in said
    assert hint in said


def test_a_number_that_is_none_is_told_in_words(ws: Workspace):
    for wrong in ("x", "0", "-1"):
        assert f"'{wrong}' is not a number, at least 1" in ws.fails("run", f"-j{wrong}", code=2)


def test_an_empty_folder_says_where_to_begin(ws: Workspace):
    said = ws.fails("run", "//:x", code=2)
    assert "no package //: there is no build.yaml" in said
    assert "docs/tutorial.md" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_is_full_is_no_bug(web: Workspace):
    program = [sys.executable, "-m", "graphbuild", "graph", "--store", str(web.root / "store")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(program, cwd=web.root, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "cannot write all output: No space left on device\n  hint: make room where it goes\n"
    assert done.returncode == 36
