"""The direction of imports: a module imports what stands below its own room, and plugins see the rules API alone."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "graphbuild"

# From the top of the house down, as ARCHITECTURE.md draws it.
ROOMS = [
    "start",
    "cli",
    "ui",
    "build",
    "graph",
    "spec",
    "schedule",
    "engine",
    "image",
    "sandbox",
    "store",
    "network",
    "layers",
    "rules",
    "values",
]

EXCEPTIONS = {
    ("cli", "start"): "where the certificate of a command line is, is said once",
    ("start", "cli"): "what no certificate answers is handed over",
    ("__main__", "start"): "`python -m graphbuild` is the same command",
}


def imports(file):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file}: relative imports hide where an arrow points"
            yield node.module


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "graphbuild"


def modules():
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file, ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_down():
    wrong = []
    for file, module in modules():
        here = room(module)
        for imported in imports(file):
            if not imported.startswith("graphbuild.") or (here, room(imported)) in EXCEPTIONS:
                continue
            if here not in ROOMS or ROOMS.index(room(imported)) < ROOMS.index(here):
                wrong.append(f"{module} imports {imported}")
    assert wrong == []


def test_values_import_nothing_of_ours_but_each_other():
    wrong = [
        f"{m}: {i}" for f, m in modules() if room(m) == "values" for i in imports(f) if i.startswith("graphbuild.") and room(i) != "values"
    ]
    assert wrong == []


def test_built_in_rules_import_what_a_plugin_may():
    allowed = ("graphbuild.rules", "graphbuild.rules.builtin")
    for file in (PACKAGE / "rules" / "builtin").glob("*.py"):
        assert [name for name in imports(file) if name.startswith("graphbuild") and name not in allowed] == [], file


def test_plugins_import_the_rules_api_alone():
    for file in (ROOT / "plugins").glob("*/graphbuild_*/**/*.py"):
        own = file.relative_to(ROOT / "plugins").parts[1]
        wrong = [
            name for name in imports(file) if name.startswith("graphbuild") and name != "graphbuild.rules" and name.split(".")[0] != own
        ]
        assert wrong == [], file


def test_every_module_says_what_it_owns():
    silent = [module for file, module in modules() if ast.get_docstring(ast.parse(file.read_text())) is None]
    assert silent == []


def test_start_up_imports_only_what_the_interpreter_has():
    light = {"os", "sys", "_blake2", "marshal"}
    top = {
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in ast.parse((PACKAGE / "start.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert top == light
