"""Tests as targets, from the command line: what passes, what fails and how it is said, what is cached, who builds what."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from workspaces import BASE, Workspace, config_of, fates, settle, spec_of

IMAGE = {
    "config": {"user": "bob", "workdir": "/app", "env": {"A": "B"}, "entrypoint": ["/bin/cat"], "expose": [8080], "labels": {"l": "m"}}
}
STEPS = {"app": {"from": "base", "run": "mkdir /app && echo one > /app/file && echo two >> /app/file"}}
OUTPUTS = {"web": {"from": "app", "image": {**IMAGE, "tags": ["web:1"], "to": {"docker": "dist/web.tar"}}}}


def declare(ws: Workspace, **tests: dict) -> None:
    ws.write({"build.yaml": BASE + spec_of(steps=STEPS, outputs=OUTPUTS, tests=tests)})


def checks(**check: object) -> dict:
    return {"from": "web", "check": check}


def verdicts(ws: Workspace, *words: str, code: int = 0, **environment: str) -> dict[str, str]:
    """What `graphbuild test` says of each test, by label."""
    done = ws("test", "--progress=quiet", *words, **environment)
    assert done.code == code, done
    assert "Traceback" not in done.err, done.err
    return {line.split()[0]: line.split("  ", 1)[1].strip().split("  ")[0] for line in done.out.splitlines()}


def wrong(ws: Workspace, **check: object) -> str:
    """Why a check fails, as the event of its one action has it."""
    declare(ws, t=checks(**check))
    done = ws("test", "--progress=quiet", "--events=-", ":t")
    assert done.code == 3, done
    (reason,) = [
        event["reason"]
        for line in done.out.splitlines()
        if line.startswith("{")
        for event in [json.loads(line)]
        if event.get("status") == "failed" and event["event"] == "action"
    ]
    return reason


def test_a_command_passes_by_its_exit_code_and_what_it_wrote_is_gone(ws: Workspace):
    declare(ws, good={"from": "web", "run": "grep one file && ! ls /tmp/x && touch /tmp/x"}, bad={"from": "web", "run": "exit 7"})
    assert verdicts(ws, code=3) == {"//:good": "passed", "//:bad": "FAILED"}
    assert verdicts(ws, code=3) == {"//:good": "cached", "//:bad": "FAILED"}
    assert verdicts(ws, ":good", "--no-cache") == {"//:good": "passed"}
    assert verdicts(ws, ":good") == {"//:good": "cached"}


def test_an_output_gives_its_config_and_is_not_written(ws: Workspace):
    declare(ws, t={"from": "web", "run": 'test "$(id -u) $(pwd) $A" = "1000 /app B"'})
    assert verdicts(ws) == {"//:t": "passed"}
    assert not (ws.root / "dist").exists()
    assert ws("image", "ls", "-q").out == ""
    ws.run(":web")
    assert (ws.root / "dist/web.tar").exists()


def test_a_step_on_an_output_is_like_one_on_that_image(ws: Workspace):
    steps = STEPS | {"more": {"from": "web", "run": "id -u > /tmp/who; echo $A >> /tmp/who"}}
    outputs = OUTPUTS | {"out": {"from": "more", "image": {"config": {"env": {"C": "D"}}, "to": {"oci": "dist/out"}}}}
    ws.write(
        {
            "build.yaml": BASE
            + spec_of(steps=steps, outputs=outputs, tests={"t": {"from": "more", "run": 'test "$(cat /tmp/who)" = "1000\nB"'}})
        }
    )
    assert verdicts(ws) == {"//:t": "passed"}
    ws.run(":out")
    config = config_of(ws.root / "dist/out")["config"]
    assert config["Entrypoint"] == ["/bin/cat"]
    assert config["Env"] == ["A=B", "C=D"]
    assert config["User"] == "bob"
    assert sorted(path.name for path in (ws.root / "dist").iterdir()) == ["out"]


def test_a_dockerfile_stands_on_an_output_as_on_that_image(ws: Workspace):
    pytest.importorskip("graphbuild_dockerfile", reason="the plugin graphbuild-dockerfile is not installed")
    ws.write({"docker/Dockerfile": "FROM web\nENV C=$A\nRUN echo $A $(id -u) > /tmp/said\n"})
    image = {"config": {**IMAGE["config"], "on_build": ["RUN touch /tmp/triggered"]}, "to": {"docker": "dist/web.tar"}}
    steps = STEPS | {"docker": {"dockerfile": {"context": "docker", "contexts": {"web": ":web"}}}}
    check = {
        "files": [{"path": "/tmp/said", "contains": "^B 1000$"}, {"path": "/tmp/triggered"}],
        "config": {"user": "bob", "env": {"A": "B", "C": "B"}, "entrypoint": ["/bin/cat"]},
    }
    outputs, tests = {"web": {"from": "app", "image": image}}, {"t": {"from": "docker", "check": check}}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, outputs=outputs, tests=tests)})
    assert verdicts(ws) == {"//:t": "passed"}
    assert not (ws.root / "dist").exists()


def test_everything_that_may_be_checked(ws: Workspace):
    declare(
        ws,
        t=checks(
            files=[
                {"path": "/app/file", "mode": "0644", "owner": "0:0", "type": "file", "contains": ["^one$", "tw."], "excludes": "three"},
                {"path": "/app/file", "owner": "root"},
                {"path": "/app", "type": "directory", "owner": "root:root"},
                {"path": "/app/none", "exists": False},
                {"path": "/app/none/below", "exists": False},
                {"path": "/bin", "type": "symlink", "target": "usr/bin"},
                {"path": "/bin", "type": "directory"},
                {"path": "/bin/busybox", "type": "file"},
                {"path": "/tmp", "mode": "1777"},
            ],
            commands=[
                {"run": ["cat", "file"], "stdout": "one"},
                {"run": "echo out; echo err >&2", "stdout": {"contains": "out", "excludes": "err"}, "stderr": ["^err$"]},
                {"run": "exit 4", "exit": 4},
                {"run": 'test "$X" = y', "env": {"X": "y"}, "timeout": "20s"},
            ],
            config={
                "user": "bob",
                "workdir": "/app",
                "entrypoint": ["/bin/cat"],
                "cmd": [],
                "env": {"A": "B"},
                "labels": {"l": "m"},
                "expose": [8080],
                "excludes": {"env": ["DEBUG"], "labels": ["n"], "expose": ["53/udp"], "volumes": ["/data"]},
            },
        ),
    )
    assert verdicts(ws) == {"//:t": "passed"}
    assert verdicts(ws, "--events=events.jsonl") == {"//:t": "cached"}
    actions = fates([json.loads(line) for line in (ws.root / "events.jsonl").read_text().splitlines()])
    assert len([name for name in actions if name.startswith("//:t#")]) == 14


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"path": "/app/none"}, "/app/none is not there"),
        ({"path": "/bin/none"}, "/bin/none is not there (that leads to /usr/bin/none)"),
        ({"path": "/app/file", "exists": False}, "/app/file is there, a file, expected nothing"),
        ({"path": "/bin", "exists": False}, "/bin is there, a symlink, expected nothing"),
        ({"path": "/app", "type": "file"}, "/app is a directory, expected a file"),
        (
            {"path": "/app/file", "mode": "0600", "owner": "bob"},
            "the mode of /app/file is 0644, expected 0600; the owner of /app/file is 0:0, expected bob",
        ),
        ({"path": "/app/file", "owner": "0:bob"}, "the owner of /app/file is 0:0, expected 0:bob"),
        ({"path": "/app/file", "owner": "eve"}, "owner 'eve' is not in the image's /etc/passwd"),
        ({"path": "/bin", "target": "bin"}, "/bin leads to 'usr/bin', expected 'bin'"),
        ({"path": "/app/file", "contains": "thr.e"}, "nothing in /app/file matches 'thr.e': 'one\\ntwo'"),
        ({"path": "/app/file", "excludes": ["^t"]}, "line 2 of /app/file matches '^t': 'two'"),
        ({"path": "/app", "contains": "x"}, "/app is a directory, and has no content"),
    ],
)
def test_a_file_that_is_otherwise_is_said_with_both(ws: Workspace, file: dict, said: str):
    assert wrong(ws, files=[file]) == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"run": "exit 2"}, "exit code 2, expected 0"),
        ({"run": "true", "exit": 1}, "exit code 0, expected 1"),
        ({"run": ["nothing"]}, "exit code 127 (command not found), expected 0"),
        ({"run": "echo a; echo b >&2", "stdout": "b"}, "nothing in stdout matches 'b': 'a'"),
        ({"run": "echo b >&2", "stdout": "b"}, "nothing in stdout matches 'b': it is empty"),
        ({"run": "echo a; echo b >&2", "stderr": {"excludes": "b"}}, "line 1 of stderr matches 'b': 'b'"),
        ({"run": "sleep 60", "timeout": "1s"}, "timed out after 1 s"),
    ],
)
def test_a_command_that_does_otherwise_is_said_with_both(ws: Workspace, command: dict, said: str):
    assert wrong(ws, commands=[command]) == said


def test_an_expression_that_never_ends_is_given_up(ws: Workspace):
    endless, text = r"^(a?){30}a{30}b\1", "a" * 60
    ws.write(
        {
            "build.yaml": BASE
            + spec_of(
                steps={"long": {"from": "base", "run": f"echo {text} > /long"}},
                tests={
                    "file": {"from": "long", "timeout": "1s", "check": {"files": [{"path": "/long", "contains": endless}]}},
                    "command": {
                        "from": "long",
                        "check": {"commands": [{"run": f"echo {text}", "timeout": "1s", "stdout": {"excludes": endless}}]},
                    },
                },
            )
        }
    )
    done = ws("test", "-k")
    assert done.code == 3, done
    assert "was looked for in /long longer than 1 s" in done.err
    assert "was looked for in stdout longer than 1 s" in done.err


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"user": "root"}, "user is 'bob', expected 'root'"),
        ({"workdir": "/", "stop_signal": "SIGINT"}, "workdir is '/app', expected '/'; stop_signal is '', expected 'SIGINT'"),
        ({"entrypoint": "cat"}, "entrypoint is ['/bin/cat'], expected ['/bin/sh', '-c', 'cat']"),
        ({"env": {"A": "C", "X": "1"}}, "variable A is 'B', expected 'C'; variable X is not set, expected '1'"),
        ({"expose": ["53/udp"], "volumes": ["/v"]}, "port 53/udp is missing: there is 8080/tcp; volume /v is missing: there is none"),
        (
            {"excludes": {"env": ["A"], "labels": ["l"], "expose": [8080]}},
            "variable A is there, expected none; label l is there, expected none; port 8080/tcp is there, expected none",
        ),
    ],
)
def test_a_config_that_says_otherwise_is_said_with_both(ws: Workspace, config: dict, said: str):
    assert wrong(ws, config=config) == said


def test_the_tests_own_attributes_are_for_its_commands_alone(ws: Workspace):
    declare(
        ws,
        t={
            **checks(
                config={"user": "bob", "env": {"A": "B"}, "excludes": {"env": ["MORE"]}},
                commands=[{"run": 'test "$(id -u) $MORE $A" = "0 1 C"'}],
            ),
            "user": "root",
            "env": {"MORE": "1", "A": "C"},
        },
    )
    assert verdicts(ws) == {"//:t": "passed"}


def test_what_is_dropped_of_its_output_is_not_taken_for_good(ws: Workspace):
    ws.write({"graphbuild.yaml": "limits: {output: 1k}\n"})
    run = "head -c 3000 /dev/zero | cat; echo bad"
    declare(ws, t={"from": "base", "check": {"commands": [{"run": run, "stdout": {"excludes": "bad"}}, {"run": run}]}})
    err = ws.fails("test", "--progress=plain", code=3)
    assert "it wrote more than the 1024 bytes that are looked at" in err
    assert "✓ //:t commands[1]" in err


def test_a_reader_of_its_results_may_go_away(ws: Workspace):
    declare(ws, t={"from": "base", "run": "true"})
    for _ in range(3):
        settle()
        ws.ok("test")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "graphbuild.start", "test"]
        environment = {**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, cwd=ws.root, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 36
    assert "Traceback" not in done.stderr


def test_a_failure_names_the_line_of_its_check(ws: Workspace):
    ws.write(
        {
            "build.yaml": BASE
            + """\
tests:
  t:
    from: base
    check:
      files:
        - {path: /etc/passwd}
        - path: /etc/shadow
      commands:
        - run: echo some words; exit 1
"""
        }
    )
    err = ws.fails("test", "--progress=plain", code=3)
    assert "✗ //:t files[1] failed" in err
    assert "declared at build.yaml:9\n  /etc/shadow is not there" in err
    assert "declared at build.yaml:11\n  command: /bin/sh -c 'echo some words; exit 1'\n  exit code 1, expected 0" in err
    assert "look inside: graphbuild shell //:t" in err
    assert "1 test, 1 failed" in err
    assert "build.yaml:9: /etc/shadow" in ws.ok("explain", ":t").out
    assert "build.yaml:11: echo some words; exit 1" in ws.ok("plan", ":t").out


def test_a_shell_opens_in_what_the_failed_check_left(ws: Workspace):
    commands = [{"run": "true"}, {"run": "echo mess > /tmp/mess; exit 1"}, {"run": "true"}]
    declare(ws, t={**checks(commands=commands), "user": "root"}, good={"from": "web", "run": "true"})
    verdicts(ws, code=3)
    assert ws.ok("shell", ":t", "--", "cat", "/tmp/mess").out == "mess\n"
    assert ws("shell", ":t", "--before", "--", "cat", "/tmp/mess").code == 1
    assert ws.ok("shell", ":good", "--", "pwd").out == "/app\n"


def test_a_check_is_cached_by_what_it_looks_at(ws: Workspace):
    declare(ws, t=checks(files=[{"path": "/app/file", "contains": "one"}], config={"user": "bob"}, commands=[{"run": "true"}]))
    verdicts(ws)
    spec = (ws.root / "build.yaml").read_text()
    ws.write({"build.yaml": spec.replace("mkdir /app", "mkdir /app /other")})
    done = ws.ok("test", "--progress=quiet", "--events=-")
    actions = fates([json.loads(line) for line in done.out.splitlines() if line.startswith("{")])
    assert {name: status for name, status in actions.items() if name.startswith("//:t#")} == {
        "//:t#files[0]": "cached",
        "//:t#commands[0]": "built",
        "//:t#config": "cached",
    }
    ws.write({"build.yaml": spec.replace("echo two", "echo one more")})
    assert verdicts(ws) == {"//:t": "passed"}
    assert "found" in ws.ok("explain", ":t").out


def test_nothing_changed_is_answered_from_the_certificate(ws: Workspace):
    declare(ws, one={"from": "web", "run": "true"}, other={"from": "base", "run": "true"})
    ws.ok("test")
    settle()
    ws.ok("test")
    done = ws.ok("test")
    assert (done.out, done.err) == ("//:one    cached\n//:other  cached\n", "ok: all 2 tests passed, up to date\n")
    declare(ws, one={"from": "web", "run": "false"}, other={"from": "base", "run": "true"})
    assert verdicts(ws, code=3) == {"//:one": "FAILED", "//:other": "cached"}
    assert verdicts(ws, code=3) == {"//:one": "FAILED", "//:other": "cached"}


def test_a_change_is_looked_at_in_part_and_all_tests_are_told(ws: Workspace):
    steps = {name: {"from": "base", "copy": {"files": f"{name}.txt", "to": "/"}} for name in "ab"}
    tests = {f"of_{name}": {"from": name, "run": f"grep good /{name}.txt"} for name in "ab"}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, tests=tests), "a.txt": "good", "b.txt": "good"})
    for text, verdict, code in (("good", "passed", 0), ("good, too", "passed", 0), ("bad", "FAILED", 3), ("good", "cached", 0)):
        settle()
        ws.ok("test", ":of_b")
        ws.write({"a.txt": text})
        settle()
        done = ws("test", "--progress=quiet")
        assert done.code == code, done
        assert [line.split()[:2] for line in done.out.splitlines()] == [["//:of_a", verdict], ["//:of_b", "cached"]]
    ws.ok("test")
    settle()
    ws.ok("test")
    done = ws.ok("test")
    assert (done.out, done.err) == ("//:of_a  cached\n//:of_b  cached\n", "ok: all 2 tests passed, up to date\n")


def test_exit_codes(ws: Workspace):
    steps = STEPS | {"broken": {"from": "base", "run": "exit 1"}}
    tests = {
        "good": {"from": "base", "run": "true"},
        "bad": {"from": "base", "run": "false"},
        "late": {"from": "broken", "run": "true"},
    }
    ws.write({"build.yaml": BASE + spec_of(steps=steps, tests=tests)})
    assert verdicts(ws, ":good") == {"//:good": "passed"}
    assert verdicts(ws, ":good", ":bad", code=3) == {"//:good": "cached", "//:bad": "FAILED"}
    assert verdicts(ws, "-k", code=1) == {"//:good": "cached", "//:bad": "FAILED", "//:late": "not run"}
    done = ws("test", "-k")
    assert "3 tests, 1 cached, 1 failed, 1 not run, 1 step failed" in done.err
    assert "//:late  not run  //:broken#run failed" in done.out
    assert ws("run", ":bad").code == 3
    assert ws("run", "-k", ":bad", ":broken").code == 1


def test_a_failed_test_stops_no_other(ws: Workspace):
    declare(ws, **{f"t{number}": {"from": "base", "run": f"exit {number % 2}; : {number}"} for number in range(8)})
    assert sorted(verdicts(ws, "-j1", code=3).values()) == ["FAILED"] * 4 + ["passed"] * 4


def test_patterns_mean_tests_for_test_and_none_for_run(ws: Workspace):
    declare(ws, t={"from": "base", "run": "true"}, slow={"from": "base", "run": "true", "tags": ["manual"]})
    ws.write({"sub/build.yaml": spec_of(tests={"t": {"from": "//:base", "run": "true"}})})
    built = ws.statuses("//...")
    assert not [name for name in built if name.startswith(("//:t", "//sub"))]
    assert ws.statuses(":t") == {"//:base#import": "cached", "//:t#run": "built"}
    assert list(verdicts(ws)) == ["//:t"]
    assert list(verdicts(ws, "//...")) == ["//:t", "//sub:t"]
    assert list(verdicts(ws, "//...", "-//sub:t", "//:slow")) == ["//:t", "//:slow"]
    assert list(verdicts(ws, "//...", "//:web")) == ["//:t", "//sub:t"]
    assert "tests(rdeps(//..., //:web))" in ws.fails("test", ":web", code=2)
    assert "`graphbuild test`" in ws.fails("run", "//sub/...", code=2)
    ws.write({"none/build.yaml": spec_of(bases={"empty": "scratch"})})
    assert "there are no tests in //none:all" in ws.fails("test", "//none:all", code=2)
    assert ws.ok("query", "tests(//...)").out == "//:t\n//sub:t\n"
    assert ws.ok("query", 'kind("run test", //...)').out == "//:t\n//sub:t\n"


def test_tags_choose_as_bazels_filters_do(ws: Workspace):
    tests = {
        name: {"from": "base", "run": "true", "tags": tags}
        for name, tags in {"a": ["slow"], "b": ["slow", "net"], "c": [], "d": ["net"]}.items()
    }
    declare(ws, **tests)
    for tags, chosen in {"slow": "ab", "slow,-net": "a", "-net": "ac", "-slow,-net": "c", "slow,net": "abd"}.items():
        assert [label[-1] for label in verdicts(ws, "--tags", tags)] == list(chosen), tags
    assert verdicts(ws, "--tags=nothing") == {}
    assert "no tests" in ws.ok("test", "--tags=nothing").err
    assert ws.statuses("//...", "--tags=slow") == {}


def test_a_matrix_is_a_test_a_cell_and_each_takes_its_own(ws: Workspace):
    steps = {"app": {"from": "base", "run": "echo ${v} > /v", "matrix": {"v": ["1", "2"]}}}
    tests = {"t": {"from": "app", "run": 'test "$(cat /v)" = ${v}', "matrix": {"v": ["1", "2"]}}}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, tests=tests)})
    assert verdicts(ws) == {"//:t[v=1]": "passed", "//:t[v=2]": "passed"}
    assert list(verdicts(ws, ":t[v=2]")) == ["//:t[v=2]"]


def test_mounts_and_unions_hold_for_tests_too(ws: Workspace):
    ws.write({"check.sh": "cat /app/file /more\n"})
    steps = STEPS | {"more": {"from": "base", "run": "echo three > /more"}}
    test = {
        "from": ["app", "more"],
        "run": 'test "$(sh /src/check.sh)" = "one\ntwo\nthree"',
        "mounts": [{"bind": "check.sh", "to": "/src/check.sh"}],
    }
    ws.write({"build.yaml": BASE + spec_of(steps=steps, tests={"t": test})})
    assert verdicts(ws) == {"//:t": "passed"}
    ws.write({"check.sh": "cat /more\n"})
    assert verdicts(ws, code=3) == {"//:t": "FAILED"}


def test_affected_names_tests_of_what_changed(ws: Workspace):
    ws.write({".gitignore": "base.tar\ndist\n", "a.txt": "a", "b.txt": "b"})
    steps = {name: {"from": "base", "copy": {"files": f"{name}.txt", "to": "/"}} for name in "ab"}
    tests = {f"of_{name}": {"from": name, "check": {"files": [{"path": f"/{name}.txt"}]}} for name in "ab"}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, tests=tests)})
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], cwd=ws.root, check=True, env={"PATH": ws.environment["PATH"], "HOME": str(ws.root)})
    ws.write({"a.txt": "A"})
    assert ws.ok("affected", "--since", "HEAD").out == "//:a\n//:of_a\n"
    assert verdicts(ws, "--affected-since", "HEAD") == {"//:of_a": "passed"}


def report(ws: Workspace, *words: str, code: int = 0, **environment: str) -> ET.Element:
    done = ws("test", "--progress=quiet", "--junit=reports/junit.xml", *words, **environment)
    assert done.code == code, done
    return ET.parse(ws.root / "reports/junit.xml").getroot()


def test_junit(ws: Workspace):
    declare(
        ws,
        good={"from": "base", "run": "echo fine"},
        bad=checks(files=[{"path": "/none"}], commands=[{"run": "echo '<last> words'; exit 1"}]),
    )
    late = {"steps": {"broken": {"from": "//:base", "run": "exit 1"}}, "tests": {"late": {"from": "broken", "run": "true"}}}
    ws.write({"svc/api/build.yaml": spec_of(**late)})
    root = report(ws, "//...", "-k", code=1)
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "4", "2", "1")
    assert [
        (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) for suite in root
    ] == [
        ("//", "3", "2", "0", "0"),
        ("//svc/api", "1", "0", "1", "0"),
    ]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    good, file, command, after = cases.values()
    assert list(cases) == ["good", "bad files[0] /none", "bad commands[0] echo '<last> words'; exit 1", "late"]
    assert [child.tag for child in good] == ["system-out"]
    assert float(good.get("time", "")) > 0
    assert file.find("failure").get("message") == "/none is not there"
    assert file.find("failure").text.startswith("declared at build.yaml:")
    assert command.find("system-out").text == "<last> words\n"
    assert after.get("classname") == "svc.api"
    assert after.find("error").get("message") == "//svc/api:broken#run failed"
    again = report(ws, ":good")
    assert float(next(again.iter("testcase")).get("time", "")) > 0, "a cached test has the time that it took"


def test_what_xml_cannot_hold_is_harmless(ws: Workspace):
    declare(ws, t={"from": "base", "run": r"printf '\033[31mred\033[0m \001\010\377 \357\277\277 ]]> <&\n'; exit 1"})
    case = next(report(ws, code=3).iter("testcase"))
    assert case.find("system-out").text == "red � � ]]> <&\n"


def test_secrets_are_in_no_report(ws: Workspace):
    secret = "correct horse battery staple"
    run = 'echo "it is $S"; echo "$S" >&2; exit 1'
    tests = {"t": {"from": "base", "check": {"commands": [{"run": run, "stdout": "other"}]}, "secrets": [{"id": "s", "env": "S"}]}}
    ws.write({"build.yaml": BASE + spec_of(tests=tests), "secret": secret})
    done = ws("test", "--secret=id=s,src=secret", "--junit=junit.xml", "--events=events.jsonl")
    assert done.code == 3
    text = (ws.root / "junit.xml").read_text()
    assert "it is ***" in text
    (ws.root / "secret").unlink()
    for said in (done.out, done.err, text, (ws.root / "events.jsonl").read_text()):
        assert secret not in said
    kept = [path for path in ws.store.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


def test_a_report_that_cannot_be_written_is_said_before_anything_runs(ws: Workspace):
    declare(ws, t={"from": "base", "run": "true"})
    ws.write({"file": "x"})
    assert "cannot write the report to file/junit.xml" in ws.fails("test", "--junit=file/junit.xml", code=2)


def test_the_report_of_an_earlier_run_is_gone_where_there_is_none(ws: Workspace):
    declare(ws, t={"from": "base", "run": "true"})
    report(ws)
    declare(ws, t={"from": "none", "run": "true"})
    assert ws("test", "--junit=reports/junit.xml").code == 2
    assert not (ws.root / "reports/junit.xml").exists()


PLUGIN = '''
"""`says`: a test of what a command prints; `wrong` says it tests, and does not."""
import msgspec
from graphbuild.rules import Analysis, CommandTest, Rule, Run, TextTest

class Says(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: str
    command: str

def says(context, attributes):
    below = context.snapshot
    made = Run(below.layers, below.config, f"echo {attributes.words} > /words")
    run = Run((*below.layers, context.ref("made")), below.config, attributes.command)
    return Analysis((("made", made), ("says", CommandTest(run, stdout=TextTest((attributes.words,))))))

def wrong(context, attributes):
    return Analysis()

RULES = (Rule("says", "test", Says, says), Rule("wrong", "test", Says, wrong), Rule("astray", "step", Says, says))
'''


def test_plugins_add_rules_that_test(ws: Workspace):
    ws.write({"plugins/says.py": PLUGIN})
    declare(ws, t={"from": "base", "says": {"words": "hello", "command": "cat /words"}})
    assert verdicts(ws) == {"//:t": "passed"}
    declare(ws, t={"from": "base", "says": {"words": "hello", "command": "echo bye"}})
    assert verdicts(ws, code=3) == {"//:t": "FAILED"}
    declare(ws, t={"from": "base", "wrong": {"words": "hello", "command": "x"}})
    assert "rule 'wrong' returned no test" in ws.fails("test", code=37)
    ws.write({"build.yaml": BASE + spec_of(steps={"t": {"from": "base", "astray": {"words": "hello", "command": "x"}}})})
    assert "rule 'astray' returned the test 'says', and is no rule of `tests`" in ws.fails("run", ":t", code=37)


@pytest.mark.parametrize(
    ("test", "place", "said"),
    [
        ("run: 'true'", "5:6", "a test needs something to test"),
        ("{from: base, check: {}}", "5:26", "nothing is checked"),
        ("{from: base, check: {files: [{path: etc}]}}", "5:42", "'etc' is no path below /"),
        ("{from: base, check: {files: [{path: /a, mode: rwx}]}}", "5:52", "'rwx' is not an octal mode"),
        ("{from: base, check: {files: [{path: /a, contains: ['(']}]}}", "5:56", "'(' is no regular expression"),
        (
            "{from: base, check: {files: [{path: /a, exists: false, mode: '0644'}]}}",
            "5:35",
            "of what is not there nothing else can be checked",
        ),
        ("{from: base, check: {commands: [{run: []}]}}", "5:44", "the command is empty"),
        ("{from: base, check: {commands: [{run: x, stdout: '['}]}}", "5:55", "'[' is no regular expression"),
        ("{from: base, check: {commands: [{run: x, timeout: soon}]}}", "5:56", "'soon' is not a duration"),
        ("{from: base, check: {config: {}}}", "5:35", "nothing of the config is checked"),
        ("{from: base, check: {config: {expose: [x]}}}", "5:45", "'x' is not a port"),
        ("{from: base, check: {file: []}}", "5:27", "unknown key 'file'"),
        ("{from: other, run: x}", "5:13", "//:other offers no files to build on"),
    ],
)
def test_mistakes_are_shown_where_they_are(ws: Workspace, test: str, place: str, said: str):
    body = test if test.startswith("{") else "{" + test + "}"
    ws.write({"build.yaml": BASE + f"tests:\n  other: {{from: base, run: x}}\n  t: {body}\n"})
    err = ws.fails("check", code=2)
    assert err.startswith(f"build.yaml:{place}: {said}"), err
