"""RUN --mount of caches, tmpfs, secrets and ssh. A cache outlives a build, so its identifiers are the case's own."""

from case import Case

_CACHE = (
    Case(
        name="mount-cache-lasts",
        why="from step to step and stage to stage, and is not in the image",
        dockerfile="""\
FROM base AS first
RUN --mount=type=cache,id=mount-cache-lasts,target=/c echo one > /c/f
FROM base
COPY --from=first /etc/passwd /order
RUN --mount=type=cache,id=mount-cache-lasts,target=/elsewhere cat /elsewhere/f > /seen
""",
    ),
    Case(
        name="tricky-23-cache-id-is-its-target",
        why="cleaned: with a slash at its end, a dot or .. within it is the same",
        dockerfile="""\
FROM base
RUN --mount=type=cache,target=/tricky-23/c echo one > /tricky-23/c/f
RUN --mount=type=cache,target=/tricky-23/c/ cat /tricky-23/c/f > /seen
RUN --mount=type=cache,target=/tricky-23/./x/../c cat /tricky-23/c/f >> /seen
RUN --mount=type=cache,id=/tricky-23/c,target=/d cat /d/f >> /seen
RUN --mount=type=cache,target=/tricky-23/d ls /tricky-23/d >> /seen
""",
    ),
    Case(
        name="mount-cache-relative-target",
        why="the id of a relative target is the target as written, wherever the WORKDIR is",
        dockerfile="""\
FROM base
WORKDIR /one
RUN --mount=type=cache,target=mount-cache-rel echo one > mount-cache-rel/f
WORKDIR /two
RUN --mount=type=cache,target=./mount-cache-rel cat mount-cache-rel/f > /seen
RUN --mount=type=cache,id=mount-cache-rel,target=c cat c/f >> /seen
RUN --mount=type=cache,target=/one/mount-cache-rel ls /one/mount-cache-rel >> /seen
""",
    ),
    Case(
        name="mount-cache-attributes",
        why="0755 root by default; mode, uid and gid as said, mode is octal",
        dockerfile="""\
FROM base
RUN --mount=type=cache,id=mca-1,target=/c stat -c '%a %u:%g' /c > /seen
RUN --mount=type=cache,id=mca-2,target=/c,mode=750,uid=1000,gid=50 stat -c '%a %u:%g' /c >> /seen
RUN --mount=type=cache,id=mca-3,target=/c,uid=1001 stat -c '%a %u:%g' /c >> /seen
RUN --mount=type=cache,id=mca-4,target=/c,mode=0700 stat -c '%a %u:%g' /c >> /seen
""",
    ),
    Case(
        name="mount-cache-mode-and-umask",
        why="a mode for everybody",
        dockerfile="FROM base\nRUN --mount=type=cache,id=mcmu,target=/c,mode=0777 stat -c '%a %u:%g' /c > /seen\n",
        differs="that engine's own umask takes bits from the mode, buildkitd's takes none; what was asked for is 0777",
        tree={"/seen": 'file 0644 0:0 "777 0:0\\n"'},
    ),
    Case(
        name="mount-cache-attributes-are-part-of-it",
        why="the same id with another mode or owner is another cache, and the first is still there",
        dockerfile="""\
FROM base
RUN --mount=type=cache,id=mcap,target=/c echo one > /c/f
RUN --mount=type=cache,id=mcap,target=/c,mode=0700 ls /c > /seen; stat -c %a /c >> /seen
RUN --mount=type=cache,id=mcap,target=/c,uid=1000 ls /c >> /seen
RUN --mount=type=cache,id=mcap,target=/c cat /c/f >> /seen
""",
    ),
    Case(
        name="mount-cache-of-user",
        why="a cache of root's cannot be written to by another; with uid it can",
        dockerfile="""\
FROM base
USER bob
RUN --mount=type=cache,id=mcu-1,target=/tmp/c touch /tmp/c/x 2> /dev/null || echo denied > /tmp/seen
RUN --mount=type=cache,id=mcu-2,target=/tmp/c,uid=1000 touch /tmp/c/x && stat -c %u /tmp/c/x >> /tmp/seen
""",
    ),
    Case(
        name="mount-cache-from",
        why="begins as a directory of a stage, with its owner and mode, and is another than the one without",
        dockerfile="""\
FROM base AS seed
RUN mkdir -p /s/t && echo seed > /s/t/f && chown -R 5:6 /s/t && chmod 711 /s/t
FROM base
RUN --mount=type=cache,id=mcf,from=seed,source=/s/t,target=/c stat -c '%a %u:%g' /c > /seen; cat /c/f >> /seen; echo more > /c/f
RUN --mount=type=cache,id=mcf,from=seed,source=/s/t,target=/c cat /c/f >> /seen
RUN --mount=type=cache,id=mcf,target=/c ls /c >> /seen
""",
    ),
    Case(
        name="mount-cache-read-only",
        why="may be read",
        dockerfile="""\
FROM base
RUN --mount=type=cache,id=mcr,target=/c echo one > /c/f
RUN --mount=type=cache,id=mcr,target=/c,ro cat /c/f > /seen; touch /c/x 2> /dev/null || echo read-only >> /seen
""",
    ),
    Case(
        name="mount-cache-sharing",
        why="all three are known, in any case, and one step sees what the step before it left",
        dockerfile="""\
FROM base
RUN --mount=type=cache,id=mcs-1,target=/c,sharing=shared echo one > /c/f
RUN --mount=type=cache,id=mcs-1,target=/c,sharing=locked cat /c/f > /seen
RUN --mount=type=cache,id=mcs-1,target=/c,sharing=LOCKED cat /c/f >> /seen
RUN --mount=type=cache,id=mcs-2,target=/c,sharing=private echo two > /c/f
RUN --mount=type=cache,id=mcs-2,target=/c,sharing=private cat /c/f >> /seen
""",
    ),
    Case(
        name="mount-cache-twice-in-a-step",
        why="one cache at two places of a step is one",
        dockerfile="FROM base\nRUN --mount=type=cache,id=mct,target=/a --mount=type=cache,id=mct,target=/b echo one > /a/f && cat /b/f > /seen\n",
    ),
    Case(
        name="mount-cache-id-expands",
        why="ids expand",
        dockerfile="""\
FROM base
ARG ID=mcx
RUN --mount=type=cache,id=$ID-id,target=/c echo one > /c/f
RUN --mount=type=cache,id=mcx-id,target=/c cat /c/f > /seen
""",
    ),
    Case(
        name="mount-cache-keeps-all",
        why="hard links, modes, owners and links in a cache are as a step left them",
        dockerfile="""\
FROM base
RUN --mount=type=cache,id=mck,target=/c cd /c && touch f && ln f g && chown 7:8 f && chmod 4750 f && ln -s f s && mkfifo p
RUN --mount=type=cache,id=mck,target=/c cd /c && stat -c '%n %F %a %u:%g %h' f g s p > /seen
""",
    ),
)

_TMPFS = (
    Case(
        name="mount-tmpfs",
        why="empty, writable, hides what is there, 1777 where it is new and with the mode of what it hides; gone afterwards",
        dockerfile="""\
FROM base
RUN --mount=type=tmpfs,target=/new stat -c %a /new > /seen; touch /new/x
RUN --mount=type=tmpfs,target=/owned/deep stat -c '%a %u:%g' /owned/deep >> /seen; ls -A /owned/deep >> /seen; touch /owned/deep/x
RUN ls -A /owned/deep >> /seen
""",
    ),
    Case(
        name="mount-tmpfs-size",
        why="a size is a limit",
        dockerfile="FROM base\nRUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1k count=2000 2> /dev/null || stat -c %s /t/x > /seen\n",
    ),
    Case(
        name="mount-tmpfs-of-user",
        why="another user may write to a new one",
        dockerfile="FROM base\nUSER bob\nRUN --mount=type=tmpfs,target=/t touch /t/x && stat -c %u /t/x > /tmp/seen\n",
    ),
)

_SECRETS = {"token.txt": "hush\n"}

_SECRET = (
    Case(
        name="mount-secret-file",
        why="at /run/secrets/ID by default, 0400 root, and not in the image",
        dockerfile="""\
FROM base
RUN --mount=type=secret,id=token cat /run/secrets/token > /seen; stat -c '%a %u:%g' /run/secrets/token >> /seen; ls -A /run /run/secrets >> /seen
""",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-secret-target",
        why="anywhere else, also relative to the WORKDIR, also on a file that is there",
        dockerfile="""\
FROM base
WORKDIR /work
RUN --mount=type=secret,id=token,target=/a/b/token cat /a/b/token > /seen
RUN --mount=type=secret,id=token,target=here cat here >> /seen; cat /work/here >> /seen
RUN --mount=type=secret,id=token,dst=/etc/group cat /etc/group >> /seen
""",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-secret-attributes",
        why="mode, uid and gid; another user reads it only so",
        dockerfile="""\
FROM base
RUN --mount=type=secret,id=token,mode=0640,uid=1000,gid=50 stat -c '%a %u:%g' /run/secrets/token > /tmp/seen
USER bob
RUN --mount=type=secret,id=token cat /run/secrets/token 2> /dev/null || echo denied > /tmp/bob
RUN --mount=type=secret,id=token,uid=1000 cat /run/secrets/token >> /tmp/bob
RUN --mount=type=secret,id=token,mode=444 cat /run/secrets/token >> /tmp/bob
""",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-secret-variable",
        why="env= is a variable and no file; with a target it is both",
        dockerfile="""\
FROM base
RUN --mount=type=secret,id=token,env=TOKEN echo "[$TOKEN]" > /seen; ls /run/secrets 2> /dev/null | wc -l >> /seen
RUN --mount=type=secret,id=token,env=TOKEN,target=/t echo "$TOKEN" >> /seen; cat /t >> /seen
RUN echo "[${TOKEN-none}]" >> /seen
""",
        outside={"token.txt": "hush"},
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-secret-from-variable",
        why="the command line takes it from a variable",
        dockerfile="FROM base\nRUN --mount=type=secret,id=quiet cat /run/secrets/quiet > /seen\nRUN --mount=type=secret,id=HUSH cat /run/secrets/HUSH >> /seen\n",
        env={"HUSH": "quiet\n"},
        args=("--secret", "id=quiet,env=HUSH", "--secret", "id=HUSH"),
    ),
    Case(
        name="mount-secret-id-of-target",
        why="without an id it is the target's last part",
        dockerfile="FROM base\nRUN --mount=type=secret,target=/etc/token cat /etc/token > /seen\n",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="tricky-23-missing-secret",
        why="is no file and no error, and an empty variable",
        dockerfile="""\
FROM base
RUN --mount=type=secret,id=none ls /run/secrets 2> /dev/null | wc -l > /seen
RUN --mount=type=secret,id=none,env=NONE echo "[${NONE-unset}]" >> /seen
RUN --mount=type=secret,id=none,target=/etc/group grep -c audio /etc/group >> /seen
""",
    ),
    Case(
        name="mount-secret-required",
        why="must be given",
        dockerfile="FROM base\nRUN --mount=type=secret,id=none,required=true true\n",
        fails="none",
        line=2,
    ),
    Case(
        name="mount-secret-required-and-given",
        why="and then it is",
        dockerfile="FROM base\nRUN --mount=type=secret,id=token,required cat /run/secrets/token > /seen\n",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-secret-is-read-only",
        why="a step cannot change it",
        dockerfile="FROM base\nRUN --mount=type=secret,id=token (echo x > /run/secrets/token) 2> /dev/null || echo read-only > /seen\n",
        outside=_SECRETS,
        args=("--secret", "id=token,src=token.txt"),
    ),
    Case(
        name="mount-ssh-without-agent",
        why="no agent and not required is no error; the variable that would lead to it is there",
        dockerfile="FROM base\nRUN --mount=type=ssh echo ${SSH_AUTH_SOCK-unset} > /seen; test -e $SSH_AUTH_SOCK || echo none >> /seen\n",
    ),
    Case(
        name="mount-ssh-required",
        why="without an agent",
        dockerfile="FROM base\nRUN --mount=type=ssh,required=true true\n",
        fails="ssh",
        line=2,
    ),
)

CASES = (*_CACHE, *_TMPFS, *_SECRET)
