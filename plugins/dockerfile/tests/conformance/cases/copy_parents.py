"""COPY --parents, which the judge's built-in frontend does not know: expectations are the reference's and those of BuildKit's own tests."""

from case import Case, Entry, File, Folder

_UNKNOWN = "the engine's built-in frontend does not know --parents"
_FILES: dict[str, Entry] = {
    "a": Folder(0o700),
    "a/b": Folder(0o711),
    "a/b/f": File("f\n", 0o640),
    "a/b/g": "g\n",
    "a/b2/f": "f2\n",
    "a/c/deep/f": "deep\n",
    "top": "top\n",
}
_OUT = {"/out": "dir 0755 0:0"}
_A = {**_OUT, "/out/a": "dir 0700 0:0"}
_B = {**_A, "/out/a/b": "dir 0711 0:0"}
_F = 'file 0640 0:0 "f\\n"'


def _text(content: str) -> str:
    return f'file 0644 0:0 "{content}\\n"'


def _parents(name: str, why: str, words: str, tree: dict[str, str], **more: object) -> Case:
    return Case(
        name=name, why=why, dockerfile=f"FROM base\nCOPY --parents {words}\n", files=_FILES, skip_engine=_UNKNOWN, tree=tree, **more
    )


CASES = (
    _parents("parents-file", "the folders on the way come along, with their modes", "a/b/f /out/", {**_B, "/out/a/b/f": _F}),
    _parents("parents-without-slash", "the destination is a folder, slash or not", "a/b/f /out", {**_B, "/out/a/b/f": _F}),
    _parents(
        "parents-absolute-and-dotted",
        "`/` and `./` in front are nothing",
        "/a/b/f ./a/b/g /out/",
        {**_B, "/out/a/b/f": _F, "/out/a/b/g": _text("g")},
    ),
    _parents("tricky-18-pivot", "only what comes after `/./` is kept", "a/./b/f /out/", {**_OUT, "/out/b": "dir 0711 0:0", "/out/b/f": _F}),
    _parents(
        "tricky-18-first-pivot-counts", "a second `/./` is nothing", "a/./b/./f /out/", {**_OUT, "/out/b": "dir 0711 0:0", "/out/b/f": _F}
    ),
    _parents(
        "tricky-18-trailing-dot-is-no-pivot",
        "`/.` at the end is nothing",
        "a/b2/. /out/",
        {**_A, "/out/a/b2": "dir 0755 0:0", "/out/a/b2/f": _text("f2")},
    ),
    _parents("parents-folder", "a folder keeps its name", "a/b /out/", {**_B, "/out/a/b/f": _F, "/out/a/b/g": _text("g")}),
    _parents(
        "tricky-18-wildcard-merges",
        "several matches, each below its own folders",
        "a/*/f /out/",
        {**_B, "/out/a/b/f": _F, "/out/a/b2": "dir 0755 0:0", "/out/a/b2/f": _text("f2")},
    ),
    _parents(
        "tricky-18-wildcard-before-pivot",
        "several matches before the pivot merge in one place",
        "a/b*/./* /out/",
        {**_OUT, "/out/f": _text("f2"), "/out/g": _text("g")},
    ),
    _parents(
        "parents-double-star",
        "`**` is any depth here",
        "a/**/f /out/",
        {
            **_B,
            "/out/a/b/f": _F,
            "/out/a/b2": "dir 0755 0:0",
            "/out/a/b2/f": _text("f2"),
            "/out/a/c": "dir 0755 0:0",
            "/out/a/c/deep": "dir 0755 0:0",
            "/out/a/c/deep/f": _text("deep"),
        },
    ),
    _parents(
        "parents-double-star-after-pivot",
        "and after a pivot",
        "a/./**/deep /out/",
        {**_OUT, "/out/c": "dir 0755 0:0", "/out/c/deep": "dir 0755 0:0", "/out/c/deep/f": _text("deep")},
    ),
    _parents(
        "parents-several", "several sources, one of the root", "top a/b/g /out/", {**_B, "/out/top": _text("top"), "/out/a/b/g": _text("g")}
    ),
    _parents("parents-missing-literal", "a literal that is missing", "a/b/none /out/", {}, fails="a/b/none", line=2),
    _parents("parents-missing-literal-after-pivot", "also after a pivot", "a/./none /out/", {}, fails="none", line=2),
    _parents("parents-to-root", "onto `/`", "a/b/f /", {"/a": "dir 0700 0:0", "/a/b": "dir 0711 0:0", "/a/b/f": _F}),
    Case(
        name="parents-chown",
        why="--chown is for the folders on the way too",
        dockerfile="FROM base\nCOPY --parents --chown=bob a/b/f /new/out/\n",
        files=_FILES,
        skip_engine=_UNKNOWN,
        tree={
            "/new": "dir 0755 1000:1000",
            "/new/out": "dir 0755 1000:1000",
            "/new/out/a": "dir 0700 1000:1000",
            "/new/out/a/b": "dir 0711 1000:1000",
            "/new/out/a/b/f": 'file 0640 1000:1000 "f\\n"',
        },
    ),
    Case(
        name="parents-from-stage",
        why="of a stage, absolute, with a pivot; owners are kept",
        dockerfile="FROM base AS made\nRUN mkdir -p /m/a/b && echo x > /m/a/b/x && chown -R ann /m && chmod 700 /m/a\nFROM base\n"
        "COPY --from=made --parents /m/./a/b/x /out/\n",
        skip_engine=_UNKNOWN,
        tree={**_OUT, "/out/a": "dir 0700 1001:0", "/out/a/b": "dir 0755 1001:0", "/out/a/b/x": 'file 0644 1001:0 "x\\n"'},
    ),
    Case(
        name="parents-false",
        why="--parents=false is no --parents",
        dockerfile="FROM base\nCOPY --parents=false a/b/f /out/\n",
        files=_FILES,
        skip_engine=_UNKNOWN,
        tree={**_OUT, "/out/f": _F},
    ),
    Case(
        name="parents-add",
        why="ADD has it as well",
        dockerfile="FROM base\nADD --parents a/b/f /out/\n",
        files=_FILES,
        skip_engine=_UNKNOWN,
        fails="parents",
        line=2,
    ),
)
