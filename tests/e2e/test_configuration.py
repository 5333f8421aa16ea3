"""What differs between targets that are alike: templates, variables at three levels, `select`; and who may name whom."""

import json
from collections.abc import Callable

import pytest
from workspaces import Workspace, settle

TEMPLATE = """\
vars: {port: "8080", greeting: hello}
bases: {none: scratch}
steps:
  code: {from: none, copy: {files: "src/*.txt", to: /app}}
outputs:
  web:
    from: code
    image:
      config: {cmd: ["/app/${package}"], env: {PORT: "${port}", GREETING: "${greeting}"}}
      to: {oci: dist}
"""


def written(workspaces: Callable[..., Workspace], files: dict[str, str]) -> Workspace:
    ws = workspaces("ws")
    ws.write(files)
    return ws


def config(ws: Workspace, folder: str) -> dict:
    layout = ws.root / folder

    def blob(digest: str) -> dict:
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())

    (described,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    found: dict = blob(blob(described["digest"])["config"]["digest"])["config"]
    return found


def environment(ws: Workspace, folder: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in config(ws, folder)["Env"])


def test_a_template_is_as_if_it_were_written_in_each_package(workspaces: Callable[..., Workspace]):
    files = {"templates/service.yaml": TEMPLATE}
    for name in ("one", "two"):
        files |= {f"svc/{name}/build.yaml": "extends: //templates/service.yaml\n", f"svc/{name}/src/a.txt": name}
    files["svc/two/build.yaml"] += 'vars: {port: "9090"}\n'
    ws = written(workspaces, files)
    ws.ok("run", "//svc/...")
    assert config(ws, "svc/one/dist")["Cmd"] == ["/app/svc/one"]
    assert environment(ws, "svc/one/dist") == {"PORT": "8080", "GREETING": "hello"}
    assert environment(ws, "svc/two/dist") == {"PORT": "9090", "GREETING": "hello"}


def test_what_a_package_says_itself_is_over_what_it_inherits(workspaces: Callable[..., Workspace]):
    own = """\
extends: ../../templates/service.yaml
"""
    ws = written(workspaces, {"templates/service.yaml": TEMPLATE, "svc/one/src/a.txt": "", "svc/one/build.yaml": own})
    assert "leaves its package" in ws.fails("run", "//svc/...", code=2)
    ws.write(
        {
            "svc/one/build.yaml": """\
extends: [//templates/service.yaml]
steps:
  code: {copy: {to: /srv}}
  more: {from: none, copy: {files: build.yaml, to: /more}}
outputs:
  web: {from: [code, more], image: {config: {env: {GREETING: hi, MORE: "1"}}}}
"""
        }
    )
    events = ws.build("//svc/...")
    assert {event["label"] for event in events if event["event"] == "action"} == {f"//svc/one:{name}" for name in ("code", "more", "web")}
    assert environment(ws, "svc/one/dist") == {"PORT": "8080", "GREETING": "hi", "MORE": "1"}
    assert config(ws, "svc/one/dist")["Cmd"] == ["/app/svc/one"]


def test_templates_extend_templates_and_the_last_wins(workspaces: Callable[..., Workspace]):
    other = "extends: service.yaml\nvars: {greeting: moin}\n"
    late = 'vars: {port: "1"}\n'
    ws = written(
        workspaces,
        {
            "templates/service.yaml": TEMPLATE,
            "templates/northern.yaml": other,
            "templates/late.yaml": late,
            "svc/build.yaml": "extends: [//templates/northern.yaml, //templates/late.yaml]\n",
            "svc/src/a.txt": "",
        },
    )
    ws.ok("run", "//svc/...")
    assert environment(ws, "svc/dist") == {"PORT": "1", "GREETING": "moin"}


def test_a_changed_template_is_seen(workspaces: Callable[..., Workspace]):
    ws = written(workspaces, {"templates/t.yaml": TEMPLATE, "svc/build.yaml": "extends: //templates/t.yaml\n", "svc/src/a.txt": ""})
    ws.ok("run", "//svc:web")
    ws.write({"templates/t.yaml": TEMPLATE.replace("hello", "bye")})
    ws.ok("run", "//svc:web")
    assert environment(ws, "svc/dist")["GREETING"] == "bye"


@pytest.mark.parametrize("link", ["templates/link.yaml", "svc/build.yaml"])
def test_what_a_link_leads_to_is_an_input(workspaces: Callable[..., Workspace], link: str):
    spec = "extends: //templates/link.yaml\n" if link.startswith("templates") else TEMPLATE
    ws = written(workspaces, {"templates/t.yaml": TEMPLATE, "svc/build.yaml": spec, "svc/src/a.txt": "", "svc/real.yaml": TEMPLATE})
    leads = "t.yaml" if link.startswith("templates") else "real.yaml"
    (ws.root / link).unlink(missing_ok=True)
    (ws.root / link).symlink_to("between.yaml")
    (ws.root / link).with_name("between.yaml").symlink_to(leads)
    settle()
    ws.ok("run", "//svc:web")
    assert ws.ok("run", "//svc:web").certified
    (ws.root / link).with_name(leads).write_text(TEMPLATE.replace("hello", "bye"))
    ws.ok("run", "//svc:web")
    assert environment(ws, "svc/dist")["GREETING"] == "bye"


def test_no_link_of_a_spec_leads_out_of_the_workspace(workspaces: Callable[..., Workspace]):
    ws = written(workspaces, {"build.yaml": "extends: //link/secret.yaml\nbases: {b: scratch}\n", "circle/build.yaml": "extends: a.yaml\n"})
    outside = ws.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("vars: {password: hunter2}\n")
    (ws.root / "link").symlink_to(outside)
    assert "build.yaml:1:1: link/secret.yaml leads out of the workspace" in ws.fails("check", ":b", code=2)
    ws.write({"build.yaml": "extends: secret.yaml\nbases: {b: scratch}\n"})
    (ws.root / "secret.yaml").symlink_to(outside / "secret.yaml")
    assert "build.yaml:1:1: secret.yaml leads out of the workspace" in ws.fails("check", ":b", code=2)
    (ws.root / "circle/a.yaml").symlink_to("a.yaml")
    assert "cannot read circle/a.yaml" in ws.fails("check", "//circle:all", code=2)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"t.yaml": "steps: {x: {rum: z}}"}, ["t.yaml:1:", "unknown rule 'rum'"]),
        ({}, ["build.yaml:1:", "no file 't.yaml' to extend"]),
        ({"t.yaml": "extends: u.yaml\n", "u.yaml": "extends: t.yaml\n"}, ["u.yaml:1:", "circle", "t.yaml → u.yaml → t.yaml"]),
        ({"t.yaml": "bases: {code: scratch}"}, ["build.yaml:2:", "'code' is in `bases` of what is extended", "t.yaml:1"]),
        ({"t.yaml": "steps: {}"}, ["build.yaml:2:", "target 'code' has no rule", "no target of that name in t.yaml"]),
        ({"t.yaml": "steps: {code: {run: 'echo ${nothing}'}}"}, ["t.yaml:1:", "unknown variable 'nothing'", "as //:code inherits it"]),
        ({"t.yaml": "steps: {code: {run: x, timeout: soon}}"}, ["t.yaml:1:33", "'soon'", "as //:code inherits it"]),
        ({"t.yaml": "steps: {code: {run: x, user: {a: b}}}"}, ["t.yaml:1:30", "as //:code inherits it"]),
        ({"t.yaml": "steps: {code: {run: x, env: {A=B: x}}}"}, ["t.yaml:1:30", "'A=B' cannot name a variable"]),
    ],
)
def test_mistakes_of_templates_are_told_where_they_are(workspaces: Callable[..., Workspace], files: dict[str, str], said: list[str]):
    ws = written(workspaces, {**files, "build.yaml": "extends: t.yaml\nsteps: {code: {env: {B: c}}}\n"})
    told = ws.fails("check", code=2)
    for text in said:
        assert text in told


def test_a_mistake_of_a_template_is_told_once(workspaces: Callable[..., Workspace]):
    files = {f"svc/{name}/build.yaml": "extends: //t.yaml\n" for name in "abcdef"}
    ws = written(workspaces, {**files, "t.yaml": "steps: {code: {run: 'echo ${nothing}'}}\n"})
    assert ws.fails("check", "//...", code=2).count("unknown variable") == 1


def test_what_can_be_extended(workspaces: Callable[..., Workspace]):
    for text, said in {
        "extends: ../t.yaml": "leaves its package",
        "extends: /t.yaml": "is absolute",
        "extends: {}": "must be a file, or a list of files, not a map",
        "extends: [t.yaml, t.yaml]": "is there twice",
        "extends: build.yaml": "'build.yaml' extends itself",
        "extends: templates": "is no file to extend",
    }.items():
        assert said in written(workspaces, {"build.yaml": text + "\n"}).fails("check", code=2)


def test_variables_of_a_target_come_before_those_of_its_package(workspaces: Callable[..., Workspace]):
    spec = """\
vars: {who: package, other: package}
bases: {none: scratch}
outputs:
  one: {from: none, vars: {who: target}, image: {config: {labels: {who: "${who}", other: "${other}"}}, to: {oci: dist/one}}}
  two: {from: none, image: {config: {labels: {who: "${who}", other: "${other}"}}, to: {oci: dist/two}}}
"""
    ws = written(workspaces, {"graphbuild.yaml": "vars: {who: workspace}\n", "build.yaml": spec})
    ws.ok("run")
    assert config(ws, "dist/one")["Labels"] == {"who": "target", "other": "package"}
    assert config(ws, "dist/two")["Labels"] == {"who": "package", "other": "package"}
    ws.ok("run", "--set", "who=line")
    assert config(ws, "dist/one")["Labels"] == {"who": "line", "other": "package"}
    assert "must be text" in written(workspaces, {"build.yaml": "bases: {a: {tar: x, vars: {a: []}}}\n"}).fails("check", code=2)


SELECT = """\
vars: {stage: test, debug: false}
bases: {none: scratch}
steps:
  code:
    from: none
    copy:
      files:
        - one
        - select: {stage=prod: [two], default: []}
        - select: {"stage=test,debug=true": three, default: null}
        - select: {stage=test: four, default: five}
      to: /
outputs:
  web:
    from: code
    image:
      config:
        user: {select: {stage=prod: "1000", default: null}}
        labels: {stage: {select: {"stage=prod,debug=true": both, stage=prod: "is ${stage}", default: other}}}
      to: {oci: dist}
  out: {from: code, files: {paths: "/*", to: {dir: out}}}
"""


def test_select(workspaces: Callable[..., Workspace]):
    ws = written(workspaces, {"build.yaml": SELECT, **{name: name for name in ("one", "two", "three", "four", "five")}})

    def built(*settings: str) -> tuple[set[str], str, str]:
        ws.ok("run", *(word for setting in settings for word in ("--set", setting)))
        found = config(ws, "dist")
        return {path.name for path in (ws.root / "out").iterdir()}, found.get("User", ""), found["Labels"]["stage"]

    assert built() == ({"one", "four"}, "", "other")
    assert built("debug=true") == ({"one", "three", "four"}, "", "other")
    assert built("stage=prod") == ({"one", "two", "five"}, "1000", "is prod")
    assert built("stage=prod", "debug=true") == ({"one", "two", "five"}, "1000", "both")


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("{stage=prod: x}", "no case of `select` holds"),
        ("{prod: x, default: z}", "'prod' is no case of a `select`"),
        ("{stag=prod: x, default: z}", "unknown variable 'stag'"),
        ("{stage=test: [x]}", "expected text, not a list"),
    ],
)
def test_mistakes_of_select(workspaces: Callable[..., Workspace], select: str, said: str):
    spec = f"vars: {{stage: test}}\nbases: {{none: scratch}}\nsteps: {{a: {{from: none, run: x, user: {{select: {select}}}}}}}\n"
    told = written(workspaces, {"build.yaml": spec}).fails("check", code=2)
    assert said in told
    assert "build.yaml:3:" in told


def visible(workspaces: Callable[..., Workspace], base: str, settings: str = "", target: str = "") -> Workspace:
    return written(
        workspaces,
        {
            "graphbuild.yaml": settings,
            "lib/build.yaml": f"{base}bases: {{none: scratch}}\nsteps: {{x: {{from: none, copy: '*.yaml'{target}}}}}\n",
            "svc/a/build.yaml": "steps: {z: {from: //lib:x, copy: '*.yaml'}}\n",
        },
    )


@pytest.mark.parametrize(
    ("base", "settings", "target", "allowed"),
    [
        ("", "", "", False),
        ("visibility: public\n", "", "", True),
        ("visibility: private\n", "visibility: public\n", "", False),
        ("", "visibility: public\n", "", True),
        ("", "visibility: [//svc/...]\n", "", True),
        ("visibility: public\n", "", ", visibility: private", False),
        ("", "", ", visibility: //svc/a", True),
        ("", "", ", visibility: [//svc, //lib]", False),
        ("", "", ", visibility: [//svc/a/..., //x]", True),
        ("", "", ", visibility: //sv/...", False),
        ("", "", ", visibility: //...", True),
    ],
)
def test_who_may_name_a_target(workspaces: Callable[..., Workspace], base: str, settings: str, target: str, allowed: bool):
    ws = visible(workspaces, base, settings, target)
    if allowed:
        ws.ok("check", "//...")
    else:
        told = ws.fails("check", "//...", code=2)
        assert "svc/a/build.yaml:1:" in told
        assert "//lib:x is not visible to //svc/a:z" in told
        assert "lib/build.yaml:" in told


def test_what_is_no_visibility(workspaces: Callable[..., Workspace]):
    for said in ("everybody", "//a//b", "[public, //a]", "//svc:a", "{}"):
        assert "lib/build.yaml:" in visible(workspaces, f"visibility: {said}\n").fails("check", "//lib/...", code=2)
        assert "lib/build.yaml:" in visible(workspaces, "", target=f", visibility: {said}").fails("check", "//lib/...", code=2)


def test_what_grows_without_end_is_refused_at_once(workspaces: Callable[..., Workspace]):
    """Each of these takes a few lines, and would take hours or any memory."""
    doubling = {f"v{number}": f"${{v{number + 1}}}${{v{number + 1}}}" for number in range(40)} | {"v40": "x"}
    said = {
        "vars": "variable 'v19' expands to more than 1 Mi characters",
        "matrix": "the matrix has 1000000000000 cells",
    }
    ws = written(
        workspaces,
        {
            "vars/build.yaml": json.dumps({"vars": doubling, "bases": {"b": "scratch"}, "steps": {"s": {"from": "b", "run": "${v0}"}}}),
            "matrix/build.yaml": json.dumps(
                {"bases": {"b": {"scratch": {}, "matrix": {f"a{n}": [f"v{value}" for value in range(10)] for n in range(12)}}}}
            ),
        },
    )
    for package, message in said.items():
        assert message in ws.fails("check", f"//{package}:all", code=2)


def test_templates_on_templates_are_put_together_once(workspaces: Callable[..., Workspace]):
    """Three a level, sixteen levels: 43 million ways lead to the last."""
    levels = range(16)
    files = {
        f"t{level}_{one}.yaml": json.dumps(
            {"vars": {f"v{level}_{one}": "x"}} | ({"extends": [f"//t{level + 1}_{other}.yaml" for other in range(3)]} if level < 15 else {})
        )
        for level in levels
        for one in range(3)
    }
    ws = written(workspaces, {**files, "build.yaml": "extends: [//t0_0.yaml]\nbases: {b: scratch}\n"})
    ws.ok("check")
    ws.write({"t15_0.yaml": "extends: [//t16_0.yaml]\n", "t16_0.yaml": "extends: [//t17_0.yaml]\n", "t17_0.yaml": "vars: {}\n"})
    assert "more than 16 deep" in ws.fails("check", code=2)


def test_whether_a_target_is_manual_is_known_before_variables(workspaces: Callable[..., Workspace]):
    """A pattern would choose it all the same."""
    spec = 'vars: {x: "1"}\nbases: {b: {scratch: {}, tags: {select: {x=1: [manual], default: []}}}}\n'
    said = written(workspaces, {"build.yaml": spec}).fails("check", code=2)
    assert said.startswith("build.yaml:2:")
    assert "`manual` is not for a variable or `select` to say" in said


@pytest.mark.parametrize("said", ["'${env.NOPE}'", "{select: {env.NOPE=1: a, default: b}}"])
def test_a_variable_of_the_environment_that_is_not_there_is_told_where_it_is_asked_for(workspaces: Callable[..., Workspace], said: str):
    ws = written(workspaces, {"build.yaml": f"bases: {{b: scratch}}\nsteps:\n  s: {{from: b, run: x, user: {said}}}\n"})
    told = ws.fails("check", code=2)
    assert told.startswith("build.yaml:3:")
    assert "the environment has no NOPE" in told


def test_labels_that_are_nearly_right(workspaces: Callable[..., Workspace]):
    ws = written(workspaces, {"svc/web/build.yaml": "bases: {image: scratch}\n"})
    assert "did you mean '//svc/web:image'?" in ws.fails("run", "svc/web:image", code=2)
    assert "//svc/web is short for //svc/web:web; targets there: image" in ws.fails("run", "//svc/web", code=2)
    assert "did you mean '//svc/web'?" in ws.fails("run", "//svc/wep:image", code=2)
    assert "'linux/aarch64': images call this architecture arm64" in ws.fails(
        "run", "//svc/web:image", "--platform", "linux/aarch64", code=2
    )
    assert "there is no architecture 'arm65'" in ws.fails("run", "//svc/web:image", "--platform", "linux/arm65", code=2)
