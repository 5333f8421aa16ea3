"""What is built again after an edit, and what is not."""

import itertools
import json
import os
import shutil

import pytest
from workspaces import BASE, Workspace, fates, manifest, settle

SPEC = (
    BASE
    + """\
vars: {word: hello}
steps:
  code:
    description: what we wrote
    copy: {files: ["src/**", "!**/*.md"], to: /app}
  data:
    copy: {files: data, to: /srv}
  checked:                        # same output
    from: [base, code]
    run: test -d /app/src && echo checked > /checked
  below:
    from: checked
    run: cat /checked > /below
  said:
    from: base
    run: echo ${word} > /said
outputs:
  web:
    from: [below, data, said]
    image:
      config: {cmd: [/bin/sh]}
      tags: ["example/web:1"]
      to: {oci: dist/web, docker: dist/web.tar}
"""
)


@pytest.fixture
def web(ws: Workspace) -> Workspace:
    ws.write({"build.yaml": SPEC, "src/a.sh": "echo a\n", "src/deep/b.sh": "echo b\n", "src/note.md": "hi", "data/d": "1"})
    ws.run()
    return ws


def test_an_unchanged_build_is_answered_from_its_certificate_and_in_full_the_same(web: Workspace):
    settle()
    web.run()
    assert web.run().certified
    before = manifest(web.root / "dist/web")
    assert set(web.statuses("-j", "3").values()) == {"cached"}
    assert manifest(web.root / "dist/web") == before


def test_events_of_a_first_build_line_by_line(ws: Workspace):
    ws.write({"build.yaml": SPEC, "src/a.sh": "echo a\n", "data/d": "1"})
    events = ws.build("-j1")
    first, *middle, last = events
    assert first == {
        "event": "build-started",
        "version": 1,
        "workspace": str(ws.root),
        "targets": ["//:web"],
        "jobs": 1,
        "actions": len(fates(events)),
    }
    assert {event["event"] for event in middle} == {"action-started", "action", "action-progress", "exported"}
    for event in middle:
        if event["event"] == "action":
            assert event["status"] == "built"
            assert event["key"].startswith("blake3:")
            assert event["seconds"] >= 0
            assert event["reason"] == "it was never built here"
            assert event["failure"] is None
    exported = {event["path"]: event for event in middle if event["event"] == "exported"}
    assert exported.keys() == {"dist/web", "dist/web.tar"}
    assert exported["dist/web"]["digest"] == manifest(ws.root / "dist/web")
    count = len(fates(events))
    critical = last.pop("critical")
    assert [(event["label"], event["action"]) for event in critical][-1] == ("//:web", "image")
    assert sum(event["seconds"] for event in critical) <= last["seconds"]
    assert last | {"seconds": 0} == {
        "event": "build",
        "status": "ok",
        "built": count,
        "cached": 0,
        "failed": 0,
        "skipped": 0,
        "seconds": 0,
        "saved": 0.0,
    }
    started = [(event["label"], event["action"]) for event in middle if event["event"] == "action-started"]
    assert len(started) == len(set(started)) == count


def test_one_source_file_builds_its_copy_and_what_hangs_on_it(web: Workspace):
    web.write({"src/a.sh": "echo changed\n"})
    events = web.build()
    assert {name for name, status in fates(events).items() if status == "built"} == {
        "//:code#copy",
        "//:checked#union",
        "//:checked#run",
        "//:below#run",  # it sees the code as well
        "//:web#union",
        "//:web#image",
    }
    (why,) = [event["reason"] for event in events if event.get("label") == "//:code" and event["event"] == "action"]
    assert why.startswith("file /app/src/a.sh changed, ")


def test_early_cutoff_a_step_that_comes_out_the_same_runs_nothing_below(ws: Workspace):
    ws.write(
        {
            "a": "1",
            "build.yaml": BASE
            + """\
steps:
  one: {from: base, run: "test -f /a && echo same > /one", mounts: [{bind: a, to: /a}]}
  two: {from: one, run: cat /one > /two}
outputs:
  out: {from: two, image: {to: {oci: dist}}}
""",
        }
    )
    ws.run()
    ws.write({"a": "2"})
    assert ws.built() == {"//:one#run"}
    ws.write({"a": "1"})  # and back: both keys are known
    assert ws.built() == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [("# same output", "# another comment"), ("what we wrote", "what they wrote"), ("vars: {word: hello}", "vars: {word: hello, more: x}")],
)
def test_what_is_in_no_key_builds_nothing(web: Workspace, old: str, new: str):
    web.write({"build.yaml": SPEC.replace(old, new)})
    assert web.built() == set()


def test_a_variable_builds_what_mentions_it(web: Workspace):
    first = manifest(web.root / "dist/web")
    assert web.built("--set", "word=bye") == {"//:said#run", "//:web#union", "//:web#image"}
    assert manifest(web.root / "dist/web") != first
    web.write({"build.yaml": SPEC.replace("hello", "bye")})
    assert web.built() == set()


def test_files_that_no_glob_chooses_build_nothing_and_new_ones_do(web: Workspace):
    web.write({"src/note.md": "changed", "src/other.md": "new", "elsewhere": "x"})
    assert web.built() == set()
    web.write({"src/new.sh": "x"})
    assert "//:code#copy" in web.built()
    (web.root / "src/new.sh").unlink()
    assert web.built() == {"//:web#image"}  # the image is known; its files are those of another build
    assert web.built() == set()


def test_touching_builds_nothing_and_the_executable_bit_does(web: Workspace):
    settle()
    (web.root / "src/a.sh").touch()
    assert not web.run().certified
    assert web.built() == set()
    (web.root / "src/a.sh").chmod(0o600)  # only the owner's x is an input
    assert web.built() == set()
    (web.root / "src/a.sh").chmod(0o755)
    events = web.build()
    assert "mode of /app/src/a.sh: 0644 → 0755" in {event.get("reason") for event in events}


def test_only_an_output_that_is_gone_or_changed_is_written_again(web: Workspace):
    places = {"oci": web.root / "dist/web", "docker": web.root / "dist/web.tar"}
    before = places["docker"].read_bytes()
    settle()
    web.run()
    web.run()

    def written() -> list[str]:
        events = web.build()
        assert {name for name, status in fates(events).items() if status == "built"} <= {"//:web#image"}
        return [event["path"] for event in events if event["event"] == "exported"]

    assert written() == []
    places["docker"].unlink()
    assert written() == ["dist/web.tar"]
    assert places["docker"].read_bytes() == before
    places["docker"].write_bytes(b"mine")
    assert written() == ["dist/web.tar"]
    assert places["docker"].read_bytes() == before
    index = (places["oci"] / "index.json").read_bytes()
    (places["oci"] / "index.json").write_text("{}")
    assert written() == ["dist/web"]
    assert (places["oci"] / "index.json").read_bytes() == index
    shutil.rmtree(web.root / "dist")
    assert sorted(written()) == ["dist/web", "dist/web.tar"]


def test_a_certificate_dies_with_every_output(web: Workspace):
    settle()
    web.run()
    web.run()
    for path in sorted(path for path in (web.root / "dist").rglob("*") if path.is_file() and path.name != "oci-layout"):
        assert web.run().certified
        path.unlink()
        assert not web.run().certified
        assert path.exists()
        web.run()


def test_no_cache_of_everything_and_of_one_target(web: Workspace):
    before = manifest(web.root / "dist/web")
    everything = web.statuses()
    assert web.built("--no-cache") == set(everything)
    assert web.built("--no-cache=:said") == {"//:said#run"}
    assert manifest(web.root / "dist/web") == before


def test_outputs_go_below_another_folder(web: Workspace, folder):
    web.run("-o", str(folder / "elsewhere"))
    ours, other = web.root / "dist", folder / "elsewhere/dist"
    assert manifest(ours / "web") == manifest(other / "web")
    assert (ours / "web.tar").read_bytes() == (other / "web.tar").read_bytes()
    web.write({"src/a.sh": "x"})
    web.run("-o", str(folder / "elsewhere"))
    assert (ours / "web.tar").read_bytes() != (other / "web.tar").read_bytes()


BROKEN = (
    BASE
    + """\
steps:
  good: {from: base, run: echo good > /good}
  bad:
    from: base
    run: |
      for i in 1 2 3; do echo line $i; done
      echo to stderr >&2
      exit 7
  after: {from: bad, run: echo never}
outputs:
  fine: {from: good, image: {to: {oci: dist/fine}}}
  broken: {from: after, image: {to: {oci: dist/broken}}}
"""
)


def test_a_failure_says_where_what_and_how_to_look_inside(ws: Workspace):
    ws.write({"build.yaml": BROKEN})
    said = ws.fails("run", ":broken")
    for text in ("//:bad", "build.yaml:5", "exit code 7", "line 1", "line 3", "to stderr", "graphbuild shell //:bad"):
        assert text in said, f"{text} is not in:\n{said}"
    log = next(word for word in said.split() if word.startswith(str(ws.store)))
    with open(log, encoding="utf-8") as file:
        assert "line 2\n" in file.read()
    assert not (ws.root / "dist/broken").exists()


def test_keep_going_builds_what_does_not_hang_on_the_failure(ws: Workspace):
    ws.write({"build.yaml": BROKEN})
    events = ws.build("-k", code=1)
    assert fates(events) == {
        "//:base#import": "built",
        "//:good#run": "built",
        "//:bad#run": "failed",
        "//:after#run": "skipped",
        "//:fine#image": "built",
        "//:broken#image": "skipped",
    }
    assert events[-1]["status"] == "failed"
    assert (events[-1]["failed"], events[-1]["skipped"]) == (1, 2)
    (failure,) = [event["failure"] for event in events if event.get("status") == "failed" and event["event"] == "action"]
    assert failure["declared"] == "build.yaml:5"
    assert failure["exit_code"] == 7
    assert failure["output"] == ["line 1", "line 2", "line 3", "to stderr"]
    assert manifest(ws.root / "dist/fine")
    again = ws.statuses("-k", code=1)
    assert again["//:good#run"] == "cached"
    assert again["//:bad#run"] == "failed"


def test_exit_codes(ws: Workspace):
    ws.write({"build.yaml": BROKEN})
    assert ws("run", ":broken").code == 1
    assert ws("run", ":nothing").code == 2
    assert ws("run", "--bogus").code == 2
    ws.write({"build.yaml": "steps: {x: {runn: a}}\n"})
    assert ws("run").code == 2


def test_ten_steps_that_wait_run_side_by_side(ws: Workspace):
    steps = {f"s{number}": {"from": "base", "run": f"sleep 1; echo {number} > /{number}"} for number in range(10)}
    both = {"bases": {"base": {"tar": "base.tar"}}, "steps": {**steps, "every": {"from": list(steps), "union": {}}}}
    ws.write({"build.yaml": json.dumps(both)})
    events = ws.build(":every", "-j10")
    spans = [(e["start"], e["start"] + e["seconds"]) for e in events if e["event"] == "action" and e["action"] == "run"]
    assert len(spans) == 10
    assert max(start for start, _ in spans) < min(end for _, end in spans)  # a moment at which all ten ran
    (tail,) = [event for event in events if event["event"] == "build"]
    assert tail["seconds"] < 8


def test_no_more_than_the_jobs_run_at_once(ws: Workspace):
    steps = {f"s{number}": {"from": "base", "run": f"usleep 200000; echo {number} > /{number}"} for number in range(6)}
    ws.write({"build.yaml": json.dumps({"bases": {"base": {"tar": "base.tar"}}, "steps": steps})})
    events = ws.build(*(f":{name}" for name in steps), "-j2")
    spans = [(e["start"], e["start"] + e["seconds"]) for e in events if e["event"] == "action" and e["action"] == "run"]
    moments = sorted(itertools.chain.from_iterable(spans))
    assert max(sum(start <= moment < end for start, end in spans) for moment in moments) <= 2


def test_a_package_elsewhere_is_found_by_a_pattern_though_certified(ws: Workspace):
    ws.write({"build.yaml": BASE, "a/build.yaml": "outputs: {x: {from: //:base, files: {paths: /etc, to: {dir: out}}}}\n"})
    settle()
    ws.run("//...")
    ws.run("//...")
    assert ws.run("//...").certified
    ws.write({"b/build.yaml": "outputs: {x: {from: //:base, files: {paths: /etc, to: {dir: out}}}}\n"})
    assert not ws.run("//...").certified
    assert (ws.root / "b/out/etc/passwd").exists()


def test_a_workspace_that_a_folder_above_takes_over_is_not_certified(ws: Workspace):
    ws.write({"build.yaml": BASE + "outputs: {x: {from: base, files: {paths: /etc, to: {dir: out}}}}\n"})
    settle()
    ws.run()
    ws.run()
    assert ws.run().certified
    (ws.root.parent / "graphbuild.yaml").write_text("vars: {x: z}\n")
    assert not ws.run().certified
    assert os.path.isdir(ws.root / "out/etc")
