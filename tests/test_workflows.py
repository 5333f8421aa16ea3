"""`graphbuild ci init`: the workflows are what their services take, are those of docs/ci.md, and overwrite nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from graphbuild.cli.ci import workflow
from graphbuild.cli.completion import SERVICES

PAGE = Path(__file__).parents[1] / "docs/ci.md"
PACKAGES = ["graphbuild", "graphbuild-debian", "graphbuild-dockerfile"]
SCHEMAS = {
    "github": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}


def graphbuild(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "graphbuild", *words], cwd=folder, capture_output=True, text=True, check=False)


def scripts(service: str, text: str) -> list[str]:
    said = yaml.safe_load(text)
    if service == "github":
        return [step["run"] for job in said["jobs"].values() for step in job["steps"] if "run" in step]
    return ["\n".join(job[part]) for job in said.values() for part in ("before_script", "script", "after_script")]


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_takes_it(service: str, tmp_path: Path):
    pytest.importorskip("check_jsonschema")
    file = tmp_path / "workflow.yaml"
    file.write_text(workflow(service, "main", PACKAGES))
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--output-format", "json", *SCHEMAS[service], str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["status"] == "ok", done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_its_scripts_are_scripts_and_name_commands_that_are(service: str):
    from graphbuild.cli.parser import parse

    for script in scripts(service, workflow(service, "main", PACKAGES)):
        assert "${{" not in script  # text of others in a script is an injection: it comes in variables
        done = subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, (script, done.stderr)
        for line in re.findall(r"graphbuild ((?:run|test|check|diff|push|cache) .*)", script):
            parse(line.replace('"$@"', "//...").split(" > ")[0].replace('"', "").split())


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_has_it_whole(service: str):
    assert f"```yaml\n{workflow(service, 'main', PACKAGES)}```\n" in PAGE.read_text()


def test_the_example_has_it():
    example = PAGE.parent.parent / "examples/monorepo/.github/workflows/images.yml"
    assert example.read_text() == workflow("github", "main", PACKAGES)


def test_it_is_written_once(tmp_path: Path):
    (tmp_path / "graphbuild.yaml").touch()
    file = tmp_path / ".github/workflows/images.yml"
    assert graphbuild(tmp_path, "ci", "init", "github", "-o", str(file)).returncode == 0
    said = file.read_text()
    assert graphbuild(tmp_path, "ci", "init", "github").stdout == said
    file.write_text("mine")
    refused = graphbuild(tmp_path, "ci", "init", "github", "-o", str(file))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert file.read_text() == "mine"
    assert graphbuild(tmp_path, "ci", "init", "github", "--force", "-o", str(file)).returncode == 0
    assert file.read_text() == said
    assert graphbuild(tmp_path, "ci", "init", "gitlab", "-o", "/proc/nowhere/x").returncode == 2


def test_the_default_branch_is_the_origins(tmp_path: Path):
    head = tmp_path / ".git/refs/remotes/origin/HEAD"
    head.parent.mkdir(parents=True)
    head.write_text("ref: refs/remotes/origin/trunk\n")
    assert 'branches: ["trunk"]' in graphbuild(tmp_path, "ci", "init", "github").stdout
    head.write_text('ref: refs/remotes/origin/x"]; evil\n')
    assert 'branches: ["main"]' in graphbuild(tmp_path, "ci", "init", "github").stdout
