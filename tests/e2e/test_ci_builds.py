"""Builds in CI: what GitHub and GitLab are told of them, through the command line."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from repositories import git
from workspaces import Workspace, spec_of, taken

BASES = {"base": {"tar": "base.tar"}}
STEPS = {
    "good": {"from": ["base"], "run": "echo ::add-mask::x; echo ok > /out"},
    "bad": {
        "from": ["base"],
        "run": "echo '##[set-env name=A]b'; cat /run/secrets/token; echo; exit 3",
        "secrets": [{"id": "token", "required": False}],
    },
}
GITHUB = {"GITHUB_ACTIONS": "true"}


def workspace(made: Workspace) -> Workspace:
    made.write({"sub/build.yaml": spec_of(bases={"base": {"tar": "//base.tar"}}, steps=STEPS, outputs=taken("good", "/out", "dist/out"))})
    return made


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_github_is_told_what_failed_and_where(ws: Workspace):
    workspace(ws)
    summary = ws.root / "summary.md"
    summary.write_text("before\n")
    token = ws.root / "token"
    token.write_text("s3cret-of-the-test")
    secret = ("--secret", f"id=token,src={token}")
    done = ws("run", "//sub:bad", "//sub:taken", "-k", *secret, **GITHUB, GITHUB_STEP_SUMMARY=str(summary))
    assert done.code == 1, done
    groups = ["::group::", "::endgroup::"]
    (error,) = [line for line in commands(done.err) if not line.startswith(tuple(groups))]
    assert error.startswith(
        "::error file=sub/build.yaml,line=2,col=1,title=//sub%3Abad run failed::exit code 3%0A##[set-env name=A]b%0A***"
    )
    assert "s3cret" not in done.err + done.out + summary.read_text()
    assert summary.read_text().startswith("before\n## graphbuild: failed")
    assert "sub/dist/out" in summary.read_text()


def test_a_mistake_is_an_annotation_of_every_command(ws: Workspace):
    ws.write({"build.yaml": "steps:\n  a:\n    rnu: x\n"})
    for command in ("run", "check", "query"):
        done = ws(command, "//:a", **GITHUB)
        assert done.code == 2
        assert commands(done.err) == [
            "::error file=build.yaml,line=3,col=5,title=a mistake::unknown rule 'rnu'%0Ahint: did you mean 'run'?"
        ], done
    assert commands(ws("check", **GITHUB, GRAPHBUILD_CI="none").err) == []


def test_a_spec_cannot_speak_to_github(ws: Workspace):
    ws.write({"build.yaml": "steps:\n  a:\n    ::add-mask::x: ##[add-mask]y\n"})
    done = ws("check", **GITHUB)
    assert done.code == 2
    assert [line for line in commands(done.err + done.out) if not line.startswith("::error ")] == []


def test_reports(ws: Workspace):
    workspace(ws)
    kinds = {"markdown": "a.md", "json": "a.json", "codequality": "b.json", "github": "c.txt"}
    done = ws("run", "//sub:bad", *(f"--report={kind}={file}" for kind, file in kinds.items()), GITLAB_CI="true")
    assert done.code == 1
    assert "section_start" in done.err
    assert (ws.root / "a.md").read_text().startswith("## graphbuild: failed")
    assert json.loads((ws.root / "a.json").read_text())["status"] == "failed"
    (finding,) = json.loads((ws.root / "b.json").read_text())
    assert finding["location"] == {"path": "sub/build.yaml", "lines": {"begin": 2}}
    assert re.fullmatch(r"[0-9a-f]{64}", finding["fingerprint"])
    assert (ws.root / "c.txt").read_text().startswith("::error file=sub/build.yaml,line=2,")
    again = ws("run", "//sub:bad", "--report=codequality=-")
    assert json.loads(again.out)[0]["fingerprint"] == finding["fingerprint"]


def test_paths_are_from_the_root_of_the_repository(workspaces: Callable[..., Workspace]):
    ws = workspaces("above/ws")
    (ws.root.parent / "graphbuild.yaml").touch()  # a workspace that is larger than the repository in it
    ws.write({"build.yaml": "steps: {a: {rnu: x}}\n"})
    git(ws.root, "init", "-q")
    assert "file=build.yaml,line=1," in ws("check", ":a", **GITHUB).err


def test_a_push_that_is_refused_is_in_the_report(ws: Workspace):
    image = {"i": {"from": "base", "image": {"tags": ["127.0.0.1:1/x:1"]}}}
    ws.write({"build.yaml": spec_of(bases=BASES, outputs=image), "graphbuild.yaml": "registries: {'127.0.0.1:1': {insecure: true}}\n"})
    done = ws("push", ":i", "--report=json=report.json", **GITHUB)
    assert done.code != 0, done
    said = json.loads((ws.root / "report.json").read_text())
    assert said["status"] == "failed"
    assert len(said["findings"]) == 1
    assert any(line.startswith("::error title=") for line in commands(done.err))


def test_a_build_with_a_report_is_not_answered_without_one(ws: Workspace):
    workspace(ws)
    for _ in range(3):
        ws.ok("run", "//sub:taken", "--report=json=report.json")
        assert json.loads((ws.root / "report.json").read_text())["status"] == "ok"
        Path(ws.root / "report.json").unlink()


def test_mistakes(ws: Workspace):
    workspace(ws)
    assert "there is no report 'junit'" in ws.fails("run", "--report=junit=x", code=2)
    assert "did you mean 'markdown'?" in ws.fails("run", "--report=markdwn=x", code=2)
    assert "is not KIND=FILE" in ws.fails("run", "--report=json", code=2)
    assert "cannot write a report" in ws.fails("run", "--report=json=missing/x", code=2)
    assert "is no CI service" in ws.fails("run", code=2, GRAPHBUILD_CI="jenkins")
