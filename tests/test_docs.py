"""The pages are true: their specs parse, their command lines too, their links lead somewhere, the plugin they show works.

A ```yaml block is a whole build.yaml if it has outputs and is not indented; a fragment is anything else.
"""

import http.server
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import graphbuild.rules
from graphbuild.cli.commands import plugin_commands
from graphbuild.cli.containers import grammar
from graphbuild.cli.containers.commands import GRAMMARS
from graphbuild.cli.parser import parse
from graphbuild.values.errors import GraphbuildError

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md"), *ROOT.glob("plugins/*/README.md"))
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(graphbuild [a-z][^`]*)`(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
STOP = frozenset(("|", ">", "<", "&&", ";", "&", "2>"))


def blocks(page: Path, language: str) -> list[str]:
    return [found[2] for found in BLOCK.finditer(page.read_text()) if found[1] == language]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _declares_all_it_needs(spec: str) -> bool:
    return spec.lstrip().startswith(("#", "vars:", "bases:")) and "\nbases:" in f"\n{spec}"


SPECS = [
    pytest.param(spec, id=f"{_name(page)}-{number}")
    for page in PAGES
    for number, spec in enumerate(blocks(page, "yaml"))
    if _declares_all_it_needs(spec)
]


def graphbuild_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run graphbuild in a folder, with a store of its own beside it."""
    environment = {**os.environ, "GRAPHBUILD_STORE": f"{folder}.store"}
    command = [sys.executable, "-m", "graphbuild", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def workspace(folder: Path) -> Path:
    folder.mkdir()
    (folder / "graphbuild.yaml").touch()
    return folder


def save_blocks(page: Path, folder: Path) -> None:
    """Write the blocks of a page that begin with a comment naming a file: `# plugins/motd.py`."""
    for _, body in BLOCK.findall(page.read_text()):
        first, _, rest = body.partition("\n")
        if named := re.fullmatch(r"# ([\w./-]+\.(?:py|yaml))", first):
            file = folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rest)


@pytest.mark.parametrize("spec", SPECS)
def test_whole_specs_are_well_formed(spec: str, tmp_path: Path):
    if "debian:" in spec:
        pytest.importorskip("graphbuild_debian", reason="the plugin graphbuild-debian is not installed")
    folder = workspace(tmp_path / "workspace")
    if "motd:" in spec:
        save_blocks(ROOT / "docs/plugins.md", folder)
    (folder / "build.yaml").write_text(spec)
    done = graphbuild_in(folder, "check")
    assert done.returncode == 0, done.stderr


def test_there_are_whole_specs_in_the_pages_that_teach():
    taught = {str(spec.id).rpartition("-")[0] for spec in SPECS}
    assert taught >= {"README.md", "docs/tutorial.md", "docs/plugins.md", "docs/debian.md", "docs/migrating.md"}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files(page: Path):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def command_lines(page: Path) -> list[str]:
    """Every command line of graphbuild in a page: of its examples, after the prompt, and in its text."""
    text = page.read_text()
    found = [
        line.removeprefix("$ ")
        for block in (*blocks(page, "console"), *blocks(page, "sh"))
        for line in block.splitlines()
        if line.removeprefix("$ ").startswith("graphbuild ")
    ]
    return found + [" ".join(inline.split()) for inline in INLINE.findall(BLOCK.sub("", text))]


def words(line: str) -> list[str]:
    """The arguments of a command line, up to a pipe or a comment. A `…` stands for what the reader may add."""
    read = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    read.whitespace_split = True
    taken: list[str] = []
    for word in read:
        if word in STOP:
            break
        taken.append(word)
    return [word for word in taken[1:] if word != "…"]


def container_parses(arguments: list[str]) -> bool:
    """Whether a command on containers is one, and takes what it is given."""
    if arguments in ([], ["--help"]) or arguments[1:] == ["--help"]:
        return True
    try:
        grammar.parse(GRAMMARS[arguments[0]], arguments[1:])
    except (KeyError, GraphbuildError):
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_command_lines_parse(page: Path, capsys: pytest.CaptureFixture[str]):
    refused = []
    added = plugin_commands()
    for line in command_lines(page):
        arguments = words(re.sub(r"\[(LABEL|EXPR)…\]|…\]", "…", line))
        if all(map(str.isalpha, arguments)):  # a command by its name, in running text
            arguments.append("--help")
        if arguments[0] == "container":
            refused += [(line, "")] * (not container_parses(arguments[1:]))
            continue
        try:
            parse(arguments, added)
        except SystemExit as end:
            if end.code:
                refused.append((line, capsys.readouterr().err))
    assert refused == []


def test_the_reference_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/reference.md").read_text() == module.page().rstrip("\n") + "\n", "run `make docs`"


def test_the_plugin_page_names_the_whole_api():
    text = (ROOT / "docs/plugins.md").read_text()
    missing = [name for name in graphbuild.rules.__all__ if not re.search(rf"`{name}\b", text)]
    assert missing == []


class _Quotes(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"Less is more.\nor so they say\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def quotes():
    """The address of a server that has a quotation."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Quotes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_plugin_on_the_page_works(tmp_path: Path, quotes: str):
    folder = workspace(tmp_path / "workspace")
    save_blocks(ROOT / "docs/plugins.md", folder)
    spec = folder / "build.yaml"
    spec.write_text(spec.read_text().replace("quotes.example", quotes))
    (folder / "NOTICE").write_text("Use it well.\n")
    locked = graphbuild_in(folder, "lock")
    assert locked.returncode == 0, locked.stderr
    built = graphbuild_in(folder, "run", ":etc", "--locked", "--offline")
    assert built.returncode == 0, built.stderr
    assert (folder / "dist/etc/etc/motd").read_text() == "This is version 1.0.\nLess is more.\n"
    assert (folder / "dist/etc/usr/share/doc/shop/NOTICE").read_text() == "Use it well.\n"
    again = graphbuild_in(folder, "run", ":etc", "--set", "version=2.0", "--locked", "--offline")
    assert "2 built, 2 cached" in again.stderr


def test_the_plugins_mistakes_point_into_the_spec(tmp_path: Path):
    folder = workspace(tmp_path / "workspace")
    save_blocks(ROOT / "docs/plugins.md", folder)
    (folder / "build.yaml").write_text("steps:\n  a:\n    motd: {text: hello, qoute: x}\n")
    done = graphbuild_in(folder, "check")
    assert done.returncode == 2
    assert "build.yaml:3:" in done.stderr
    assert "did you mean 'quote'?" in done.stderr


def test_a_broken_plugin_is_blamed_by_its_name(tmp_path: Path):
    folder = workspace(tmp_path / "workspace")
    save_blocks(ROOT / "docs/plugins.md", folder)
    plugin = folder / "plugins/motd.py"
    plugin.write_text(plugin.read_text().replace('short="text"', 'short="txt"'))
    done = graphbuild_in(folder, "check")
    assert done.returncode == 2
    assert "plugin 'motd': rule 'motd': `short` names 'txt', which is no field of its Struct" in done.stderr
