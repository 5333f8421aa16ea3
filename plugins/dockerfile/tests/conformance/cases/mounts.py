"""RUN --mount: binds, mount points, and mistakes."""

from case import Case, File, Symlink

_SOURCES = {
    "file": "file\n",
    "dir/inner": File("inner\n", mode=0o600, owner=(1000, 1000)),
    "dir/sub/leaf": "leaf\n",
    "link": Symlink("dir/inner"),
}

_BIND = (
    Case(
        name="mount-bind-context",
        why="without a source it is the whole context, Dockerfile and all, owned by root and read-only; nothing of it stays",
        dockerfile="""\
FROM base
RUN --mount=type=bind,target=/context ls -A /context > /seen; stat -c '%a %u:%g' /context/dir/inner >> /seen; \\
    touch /context/x 2> /dev/null || echo read-only >> /seen
""",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-is-the-default-type",
        why="the keys have short names too",
        dockerfile="FROM base\nRUN --mount=src=dir,dst=/d cat /d/inner > /seen\nRUN --mount=source=file,destination=/f cat /f >> /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-file",
        why="a file on a file of a new directory; both are gone afterwards",
        dockerfile="FROM base\nRUN --mount=type=bind,source=file,target=/new/dir/name.txt cat /new/dir/name.txt > /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-over-existing",
        why="what is there is hidden for the step and unchanged afterwards",
        dockerfile="""\
FROM base
RUN --mount=type=bind,source=dir,target=/owned ls -A /owned > /seen; stat -c %u /owned >> /seen
RUN --mount=type=bind,source=file,target=/real/file cat /real/file >> /seen; (echo x > /real/file) 2> /dev/null || echo read-only >> /seen
RUN cat /real/file >> /seen
""",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-relative-target",
        why="below the WORKDIR",
        dockerfile="FROM base\nWORKDIR /work\nRUN --mount=type=bind,source=file,target=name --mount=source=dir,target=../d cat name /d/inner > seen; ls > list\n",
        files=_SOURCES,
    ),
    Case(
        name="tricky-23-rw-bind-is-discarded",
        why="a rw bind may be written to, and neither the next step nor the context sees it",
        dockerfile="""\
FROM base
RUN --mount=type=bind,target=/c,rw echo changed > /c/file && rm -r /c/dir && touch /c/new && ls -A /c > /seen
RUN --mount=type=bind,target=/c,readwrite=true cat /c/file >> /seen; ls -A /c >> /seen
COPY file /copied
""",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-rw-of-stage-is-discarded",
        why="nor does the stage it came from",
        dockerfile="""\
FROM base AS first
RUN mkdir /out && echo first > /out/file
FROM base
RUN --mount=type=bind,from=first,source=/out,target=/out,rw echo changed > /out/file
COPY --from=first /out/file /copied
""",
    ),
    Case(
        name="mount-bind-ro-word",
        why="`ro` and `readonly` with and without a value; rw=false is read-only too",
        dockerfile="""\
FROM base
RUN --mount=target=/c,ro touch /c/x 2> /dev/null || echo 1 > /seen
RUN --mount=target=/c,readonly=true touch /c/x 2> /dev/null || echo 2 >> /seen
RUN --mount=target=/c,rw=false touch /c/x 2> /dev/null || echo 3 >> /seen
RUN --mount=target=/c,ro=false touch /c/x 2> /dev/null || echo 4 >> /seen
""",
    ),
    Case(
        name="mount-bind-from-stage",
        why="of a stage that nothing else needs, by its name in any case: files with their owners and modes",
        dockerfile="""\
FROM base AS First
RUN mkdir -m 750 /out && echo first > /out/file && chown -R 5:6 /out
FROM base
RUN --mount=from=first,target=/s stat -c '%a %u:%g' /s/out > /seen; ls -A /s | sort >> /seen
RUN --mount=from=FIRST,source=out/file,target=/s cat /s >> /seen
""",
    ),
    Case(
        name="mount-bind-from-image",
        why="of an image that no FROM names",
        dockerfile="FROM base\nRUN --mount=from=configured,source=/srv/app,target=/s cat /s/app > /seen\n",
    ),
    Case(
        name="mount-bind-from-context",
        why="of a named context",
        dockerfile="FROM base\nRUN --mount=type=bind,from=other,source=dir,target=/s cat /s/file > /seen\n",
        contexts={"other": {"dir/file": "other\n"}},
    ),
    Case(
        name="mount-bind-from-scratch-stage",
        why="of a stage that has only what was copied",
        dockerfile="FROM scratch AS only\nCOPY file /file\nFROM base\nRUN --mount=from=only,target=/s ls -A /s > /seen\n",
        files={"file": ""},
    ),
    Case(
        name="mount-bind-source-outside",
        why="a source cannot climb out of where it is from",
        dockerfile="FROM base\nRUN --mount=source=../../dir,target=/a ls /a > /seen\nRUN --mount=source=/dir/../file,target=/b cat /b >> /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-source-link",
        why="a link as the source is followed, inside of where it is from",
        dockerfile="FROM base\nRUN --mount=source=link,target=/a cat /a > /seen\nRUN --mount=from=base,source=/chain,target=/b ls /b >> /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-bind-ignored",
        why=".dockerignore holds for a bind too",
        dockerfile="FROM base\nRUN --mount=target=/c ls -A /c /c/dir > /seen\n",
        files={**_SOURCES, ".dockerignore": "file\ndir/sub\n"},
    ),
    Case(
        name="mount-bind-expands",
        why="source and target expand ARG and ENV",
        dockerfile="""\
FROM base
ARG SOURCE=dir
ENV TARGET=/made
RUN --mount=type=bind,source=${SOURCE}/inner,target=$TARGET/${SOURCE:+x} cat /made/x > /seen
""",
        files=_SOURCES,
    ),
    Case(
        name="mount-two-at-one-place",
        why="the later hides the earlier",
        dockerfile="FROM base\nRUN --mount=type=tmpfs,target=/x --mount=source=dir,target=/x ls -A /x > /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-order-is-by-depth",
        why="a mount within another's target is on top, whichever is written first",
        dockerfile="FROM base\nRUN --mount=source=file,target=/x/inner --mount=source=dir,target=/x cat /x/inner > /seen; ls -A /x >> /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-within-mount",
        why="a mount in a mounted directory that has the place",
        dockerfile="""\
FROM base
RUN --mount=target=/c --mount=type=tmpfs,target=/c/dir/sub touch /c/dir/sub/new && ls -A /c/dir/sub /c > /seen
RUN --mount=type=tmpfs,target=/t --mount=source=file,target=/t/deep/name ls /t/deep > /seen2
""",
        files=_SOURCES,
    ),
    Case(
        name="mount-target-through-link",
        why="a target is resolved in the image: /link is /real, and the link stays",
        dockerfile="FROM base\nRUN --mount=source=dir,target=/link/x ls -A /real /real/x > /seen\nRUN --mount=source=file,target=/lib/y cat /usr/lib/y >> /seen\n",
        files=_SOURCES,
    ),
    Case(
        name="mount-key-case-and-quotes",
        why="keys and types in capitals, and a value with a comma, quoted as in CSV",
        dockerfile="""\
FROM base
RUN --mount='TYPE=Bind,"source=a,b",TARGET=/x' cat /x > /seen
RUN --mount=type=bind,\\"source=a,b\\",target=/x cat /x >> /seen
RUN --mount=type=bind,source="c d",target=/x cat /x >> /seen
""",
        files={"a,b": "comma\n", "c d": "blank\n"},
    ),
)

_STUBS = (
    Case(
        name="tricky-24-mount-points-leave-nothing",
        why="directories made for a mount are gone, however deep, except those in which the step itself left something",
        dockerfile="""\
FROM base
RUN --mount=type=tmpfs,target=/a/b/c touch /a/b/c/x
RUN --mount=type=tmpfs,target=/d/e/f touch /d/x
RUN --mount=type=tmpfs,target=/root/.cache/tool touch /root/.cache/other
RUN --mount=type=cache,id=tricky-24,target=/home/bob/.cache/pip touch /home/bob/.cache/pip/x
RUN --mount=type=secret,id=none,target=/run/secrets/none true
""",
    ),
    Case(
        name="tricky-24-parents-are-unchanged",
        why="owner and mode of the directory that a mount point was made in",
        dockerfile="""\
FROM base
RUN --mount=type=tmpfs,target=/owned/deep/made --mount=type=tmpfs,target=/home/ann/x/y stat -c '%n %a %u:%g' /owned/deep /home/ann > /seen
USER bob
RUN --mount=type=tmpfs,target=/owned/made touch /owned/made/x
""",
    ),
    Case(
        name="mount-point-that-was-there",
        why="an empty directory or file that the image has is not taken for a stub",
        dockerfile="FROM base\nRUN mkdir /place && touch /name\nRUN --mount=type=tmpfs,target=/place --mount=source=file,target=/name true\n",
        files={"file": "x"},
    ),
    Case(
        name="mount-point-made-by-nobody-is-roots",
        why="for another user too, who therefore may not write beside it",
        dockerfile="FROM base\nUSER bob\nRUN --mount=type=tmpfs,target=/home/bob/a/b stat -c '%n %a %u:%g' /home/bob/a /home/bob/a/b > /tmp/seen\n",
    ),
)

_WRONG = (
    Case(name="mount-no-target", why="a bind without one", dockerfile="FROM base\nRUN --mount=type=bind true\n", fails="target", line=2),
    Case(
        name="mount-target-root",
        why="the root cannot be a target",
        dockerfile="FROM base\nRUN --mount=type=tmpfs,target=/ true\n",
        fails="target",
        line=2,
    ),
    Case(
        name="mount-unknown-type",
        why="no such type",
        dockerfile="FROM base\nRUN --mount=type=volume,target=/x true\n",
        fails="volume",
        line=2,
    ),
    Case(
        name="mount-unknown-key",
        why="no such key",
        dockerfile="FROM base\nRUN --mount=type=bind,colour=red,target=/x true\n",
        fails="colour",
        line=2,
    ),
    Case(
        name="mount-key-without-value",
        why="only the words of rw, ro and required stand alone",
        dockerfile="FROM base\nRUN --mount=type=bind,source,target=/x true\n",
        fails="source",
        line=2,
    ),
    Case(
        name="mount-key-of-other-type",
        why="sharing is a cache's",
        dockerfile="FROM base\nRUN --mount=type=bind,sharing=shared,target=/x true\n",
        fails="sharing",
        line=2,
    ),
    Case(
        name="mount-size-of-other-type",
        why="size is tmpfs'",
        dockerfile="FROM base\nRUN --mount=type=cache,size=1m,target=/x true\n",
        fails="size",
        line=2,
    ),
    Case(
        name="mount-unknown-sharing",
        why="no such sharing",
        dockerfile="FROM base\nRUN --mount=type=cache,sharing=always,target=/x true\n",
        fails="always",
        line=2,
    ),
    Case(
        name="mount-mode-not-octal",
        why="9 is no octal digit",
        dockerfile="FROM base\nRUN --mount=type=cache,mode=0799,target=/x true\n",
        fails="0799",
        line=2,
    ),
    Case(
        name="mount-uid-is-a-number",
        why="names are not looked up",
        dockerfile="FROM base\nRUN --mount=type=cache,uid=bob,target=/x true\n",
        fails="bob",
        line=2,
    ),
    Case(
        name="mount-size-is-a-number",
        why="no such size",
        dockerfile="FROM base\nRUN --mount=type=tmpfs,size=big,target=/x true\n",
        fails="big",
        line=2,
    ),
    Case(
        name="mount-rw-is-a-boolean",
        why="no such truth",
        dockerfile="FROM base\nRUN --mount=target=/x,rw=maybe true\n",
        fails="maybe",
        line=2,
    ),
    Case(
        name="mount-missing-source",
        why="a source that is not there",
        dockerfile="FROM base\nRUN --mount=type=bind,source=nope,target=/x true\n",
        fails="nope",
        line=2,
    ),
    Case(
        name="mount-missing-source-of-stage",
        why="in a stage",
        dockerfile="FROM base AS a\nFROM base\nRUN --mount=from=a,source=/nope,target=/x true\n",
        fails="nope",
        line=3,
    ),
    Case(
        name="mount-from-does-not-expand",
        why="a variable in from is refused, whatever it is",
        dockerfile="ARG S=a\nFROM base AS a\nFROM base\nARG S\nRUN --mount=from=$S,target=/x true\n",
        fails="from",
        line=5,
    ),
    Case(
        name="mount-from-later-stage",
        why="a stage that comes later is no source",
        dockerfile="FROM base AS first\nRUN --mount=from=later,target=/x true\nFROM base AS later\n",
        args=("--target", "first"),
        fails="later",
    ),
    Case(
        name="mount-from-index",
        why="an index names no stage here, unlike in COPY --from: it is looked for as an image",
        dockerfile="FROM base\nFROM base\nRUN --mount=from=0,target=/x true\n",
        fails="0",
        line=3,
    ),
    Case(
        name="mount-secret-nothing",
        why="neither id nor target",
        dockerfile="FROM base\nRUN --mount=type=secret true\n",
        fails="secret",
        line=2,
    ),
    Case(name="mount-empty", why="no value", dockerfile="FROM base\nRUN --mount= true\n", fails="mount", line=2),
    Case(
        name="mount-within-read-only-mount",
        why="a mount point cannot be made in a read-only mount",
        dockerfile="FROM base\nRUN --mount=target=/c --mount=type=tmpfs,target=/c/new/place true\n",
        fails="/c/new",
        line=2,
    ),
)

CASES = (*_BIND, *_STUBS, *_WRONG)
