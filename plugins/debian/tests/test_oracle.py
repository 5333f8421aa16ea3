"""The resolver against real apt: the same packages in the same versions, from the same Packages file."""

import lzma
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from shutil import which

import pytest
from graphbuild_debian.packages import Index
from graphbuild_debian.release import read_release
from graphbuild_debian.resolver import resolve
from mirror import MIRROR, need_mirror
from repository import FetchingContext

pytestmark = [pytest.mark.network, pytest.mark.skipif(which("apt-get") is None, reason="apt-get, the oracle, is missing")]

SETS = [
    ["python3"],
    ["python3", "python3-venv", "ca-certificates"],
    ["nginx-light"],
    ["default-jre-headless"],
    ["gcc", "make"],
    ["build-essential"],
    ["git", "openssh-client"],
    ["nodejs", "npm"],
    ["postgresql-client"],
    ["postgresql"],
    ["apache2"],
    ["php-fpm"],
    ["curl", "jq", "vim-tiny"],
    ["ffmpeg"],
    ["texlive-latex-base"],
    ["redis-server"],
    ["systemd-sysv", "dbus"],
    ["python3-numpy", "python3-pandas"],
    ["ruby", "rubygems"],
    ["exim4-daemon-light"],
    ["default-mta"],
    ["libreoffice-writer-nogui"],
]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def suite(request, tmp_path_factory) -> tuple[Index, Path, Path]:
    """(index, folder of apt's private state, apt.conf) of a suite's main/amd64, read by us and by apt from the same bytes."""
    need_mirror()
    root = tmp_path_factory.mktemp(request.param)
    context = FetchingContext(root)
    signed = context.fetch(f"{MIRROR}/dists/{request.param}/InRelease")
    release = read_release(signed, files("graphbuild_debian").joinpath("debian-archive-keyring.gpg").read_bytes(), request.param, None)
    file = release.files["main/binary-amd64/Packages.xz"]
    text = lzma.decompress(context.fetch(f"{MIRROR}/dists/{request.param}/{file.path}", sha256=file.sha256)).decode()
    archive = root / "archive"
    archive.mkdir()
    (archive / "Packages").write_text(text)
    conf = _apt(root, archive)
    subprocess.run(["apt-get", "-q", "update"], env={"APT_CONFIG": str(conf), "PATH": "/usr/bin:/bin"}, check=True, capture_output=True)
    return Index("amd64", [(MIRROR, text)]), root, conf


def _apt(root: Path, archive: Path) -> Path:
    """An apt.conf whose every path is below `root`: the machine's own apt state is neither read nor written."""
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d", "etc/trusted.gpg.d"):
        (root / folder).mkdir(parents=True)
    (root / "state/status").write_text("")
    (root / "etc/sources.list").write_text(f"deb [trusted=yes] file:{archive} ./\n")
    conf = root / "apt.conf"
    conf.write_text(
        f"""
        APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }}; APT::Install-Recommends "false"; APT::Sandbox::User "root";
        Dir::State "{root}/state"; Dir::State::status "{root}/state/status"; Dir::Cache "{root}/cache"; Dir::Etc "{root}/etc";
        Dir::Etc::sourcelist "{root}/etc/sources.list"; Dir::Etc::sourceparts "-"; Dir::Log "{root}";
        Acquire::Languages "none"; pkgCacheGen::ForceEssential ",";
        #clear DPkg::Post-Invoke; #clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;
        """
    )
    return conf


@pytest.mark.parametrize("wanted", SETS, ids="+".join)
def test_the_same_set_as_apt(suite: tuple[Index, Path, Path], wanted: list[str]):
    index, _root, conf = suite
    if any(index.candidate(name) is None and not index.providers(name) for name in wanted):
        pytest.skip("this suite has no such package")
    run = subprocess.run(
        ["apt-get", "-q", "-s", "install", *wanted],
        env={"APT_CONFIG": str(conf), "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    )
    theirs = set(re.findall(r"^Inst (\S+) \((\S+) ", run.stdout, re.MULTILINE))
    solution = resolve(index, "amd64", (("packages", wanted),))
    assert {(name, choice.package.version) for name, choice in solution.items()} == theirs
