"""RUN: what its process sees and who it is. It writes what it sees to files of the image."""

from case import Case

_TIMES = "a layer's times are all SOURCE_DATE_EPOCH: the same inputs give the same bytes"

# As in the base, and: root and an account without a home directory are in groups, and root is in one.
_ACCOUNTS = {
    "passwd": """\
root:x:0:0:root:/root:/bin/sh
bob:x:1000:1000::/home/bob:/bin/sh
bare:x:1001:1001:::/bin/sh
lost:x:1002:1002::/not/there:/bin/sh
""",
    "group": """\
root:x:0:
bob:x:1000:
bare:x:1001:
lost:x:1002:
audio:x:29:root,bob
video:x:44:bob,lost
""",
}

_PROCESS = (
    Case(
        name="run-environment",
        why="an ARG without a value is no variable, one with an empty value is; HOME is added; nothing of the builder's own",
        dockerfile="""\
FROM base
ARG DECLARED=arg
ARG NOTHING=
ARG WITHOUT
ARG TARGETPLATFORM
ENV KEPT=env BLANK=
RUN env | sort > /seen
""",
    ),
    Case(
        name="run-environment-exec",
        why="what the process got, in its order, before a shell adds to it",
        dockerfile="""\
FROM base
ARG SECOND=2
ENV FIRST=1
RUN ["sh", "-c", "got=$(cat /proc/$$/environ | tr '\\\\0' '\\\\n'); echo \\"$got\\" > /seen"]
""",
    ),
    Case(
        name="run-environment-is-not-kept",
        why="variables, directory and umask of a shell end with it",
        dockerfile='FROM base\nRUN export LEFT=1; cd /tmp; umask 077\nRUN echo "${LEFT-none}" > /seen; pwd >> /seen; umask >> /seen\n',
    ),
    Case(
        name="run-umask",
        why="022: files are 0644, directories 0755",
        dockerfile="FROM base\nRUN umask > /seen; touch /file; mkdir /folder; touch /folder/file; ln -s file /sym\n",
    ),
    Case(
        name="run-is-the-first-process",
        why="PID 1 in a namespace of its own, so a script that asks is not told otherwise",
        dockerfile="FROM base\nRUN echo $$ > /seen\n",
    ),
    Case(
        name="run-input-is-empty",
        why="standard input is at its end at once and nothing is a terminal",
        dockerfile="FROM base\nRUN cat > /seen; read line || echo end >> /seen; for n in 0 1 2; do test -t $n || echo $n >> /seen; done\n",
    ),
    Case(
        name="run-output-of-any-kind",
        why="bytes that are no text, a line without end, and much of it, are no hindrance",
        dockerfile="FROM base\nRUN head -c 300000 /dev/urandom; printf '\\033[31m\\0\\377'; yes | head -n 100000; head -c 200000 /dev/zero | tr '\\0' x; echo done > /seen\n",
    ),
    Case(
        name="run-output-by-name",
        why="/dev/stdout and /dev/stderr can be opened, by any user; a terminal there is none",
        dockerfile="""\
FROM base
RUN echo x > /dev/stdout && echo x > /dev/stderr && echo x | tee /dev/fd/1 > /tmp/root; (echo x > /dev/tty) 2> /dev/null || echo none >> /tmp/root
USER bob
RUN echo x > /dev/stdout && echo x > /dev/stderr && echo ok > /tmp/bob
""",
    ),
    Case(
        name="run-knows-its-own-name",
        why="whatever the host's name is, /etc/hosts has it; and there are name servers to ask",
        dockerfile='FROM base\nRUN grep -q -w "$(hostname)" /etc/hosts && echo hosts > /seen; grep -q nameserver /etc/resolv.conf && echo resolv >> /seen\n',
    ),
    Case(
        name="run-large-environment",
        why="a variable of 100,000 bytes",
        dockerfile="FROM base\nARG half=" + "x" * 50_000 + "\nENV BIG=$half$half\nRUN echo ${#BIG} > /seen\nENV BIG=\n",
    ),
    Case(
        name="run-background-dies",
        why="the step ends with its first process, whoever is left",
        dockerfile="FROM base\nRUN (sleep 1; touch /late) & touch /now\nRUN sleep 2; ls / | grep -e now -e late > /seen\n",
    ),
    Case(
        name="run-capabilities",
        why="the fourteen of a container: chown, mknod and chroot, but neither mount nor network administration",
        dockerfile="""\
FROM base
RUN grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNew)' /proc/self/status > /seen
RUN mkdir /m; mount -t tmpfs none /m || echo no mount >> /seen; chroot / true && echo chroot >> /seen
""",
    ),
    Case(
        name="run-devices",
        why="the devices that scripts use are there, with their modes",
        dockerfile="""\
FROM base
RUN for name in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$name; done > /seen; \\
    for name in fd stdin stdout stderr ptmx; do readlink /dev/$name >> /seen; done; \\
    stat -c '%n %a' /dev/shm >> /seen; echo discarded > /dev/null; head -c 3 /dev/zero | wc -c >> /seen
""",
    ),
    Case(
        name="run-system-is-read-only",
        why="/sys, /proc/sys, /etc/hosts and /etc/resolv.conf may be read, not changed or removed",
        dockerfile="""\
FROM base
RUN (echo x > /sys/made) 2> /dev/null || echo sys >> /seen; \\
    (echo x > /proc/sys/kernel/hostname) 2> /dev/null || echo proc >> /seen; \\
    (echo x >> /etc/hosts) 2> /dev/null || echo hosts >> /seen; \\
    (echo x >> /etc/resolv.conf) 2> /dev/null || echo resolv >> /seen; \\
    rm /etc/hosts 2> /dev/null || echo busy >> /seen
""",
    ),
    Case(
        name="run-hosts-knows-localhost",
        why="/etc/hosts is the builder's also where the image has its own, which stays as it is",
        dockerfile="""\
FROM base
COPY hosts /etc/hosts
RUN grep -c '127.0.0.1.*localhost' /etc/hosts > /seen; grep -c '::1.*localhost' /etc/hosts >> /seen; grep -c mine /etc/hosts >> /seen || true
""",
        files={"hosts": "10.0.0.1 mine\n"},
    ),
    Case(
        name="run-workdir",
        why="the step starts in the WORKDIR, wherever the last one went",
        dockerfile="FROM base\nWORKDIR /a/b\nRUN pwd > seen\nRUN cd / && pwd > seen2\nRUN echo ../* * > /star\n",
    ),
    Case(
        name="run-workdir-through-symlink",
        why="pwd says the path as WORKDIR wrote it or where it leads: the shell asks the kernel",
        dockerfile="FROM base\nWORKDIR /link/made\nRUN pwd > /seen; touch file\n",
    ),
    Case(
        name="run-network-none",
        why="a loopback that is up, and no route",
        dockerfile="""\
FROM base
RUN --network=none ls /sys/class/net > /seen; ip route >> /seen; ip addr show lo | grep -c 127.0.0.1 >> /seen; \\
    nc -l -p 4000 > /got & sleep 1; echo hello | nc -w 1 127.0.0.1 4000; cat /got >> /seen; rm /got
""",
    ),
    Case(
        name="run-network-default",
        why="the flag with the value that is the default",
        dockerfile="FROM base\nRUN --network=default true > /seen\n",
    ),
    Case(
        name="run-network-host",
        why="host is allowed where the whole build has it",
        dockerfile="FROM base\nRUN --network=host true > /seen\n",
    ),
    Case(
        name="run-times-are-kept",
        why="a later step sees the times that an earlier one set, through the layers between them",
        dockerfile="""\
FROM base
RUN touch -d @1000000000 /old && mkdir /folder && touch -d @1000000002 /folder
RUN stat -c '%n %Y' /old /folder > /seen
RUN touch -r /old /new && stat -c '%n %Y' /old /new >> /seen
""",
        differs=_TIMES,
        tree={
            "/folder": "dir 0755 0:0",
            "/new": 'file 0644 0:0 ""',
            "/old": 'file 0644 0:0 ""',
            "/seen": 'file 0644 0:0 "/old 0\\n/folder 0\\n/old 0\\n/new 0\\n"',
        },
    ),
    Case(
        name="run-time-of-folder-after-copy",
        why="a directory that something is copied into has a new time",
        dockerfile="""\
FROM base
RUN mkdir /folder && touch -d @1000000002 /folder
COPY late /folder/late
RUN test $(stat -c %Y /folder) -gt 1000000002 && echo new > /seen || echo old > /seen
""",
        files={"late": ""},
        differs=_TIMES,
        tree={"/folder": "dir 0755 0:0", "/folder/late": 'file 0644 0:0 ""', "/seen": 'file 0644 0:0 "old\\n"'},
    ),
)

_USERS = (
    Case(
        name="run-user-name",
        why="who the step is, where it may write, whose its files are",
        dockerfile="FROM base\nUSER bob\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; echo $HOME >> /tmp/seen; pwd >> /tmp/seen; touch ~/mine\n",
    ),
    Case(
        name="tricky-22-user-groups",
        why="a name or a bare uid has its supplementary groups, u:g has only g",
        dockerfile="""\
FROM base
COPY passwd group /etc/
USER bob
RUN id -G | tr ' ' '\\n' | sort -n > /tmp/name
USER 1000
RUN id -G | tr ' ' '\\n' | sort -n > /tmp/number
USER bob:bob
RUN id -G > /tmp/group
USER bob:video
RUN id -G > /tmp/other
USER 1000:0
RUN id -G > /tmp/numbers
USER 1000:29
RUN id -G > /tmp/number29
USER root
RUN for each in name number group other numbers number29; do grep -H . /tmp/$each; done > /seen
""",
        files=_ACCOUNTS,
    ),
    Case(
        name="tricky-22-user-home",
        why="from passwd, also for a uid and with a group; / where passwd does not know the uid; made by nobody",
        dockerfile="""\
FROM base
COPY passwd group /etc/
RUN echo $HOME > /tmp/root
USER bob
RUN echo $HOME > /tmp/bob
USER 1000
RUN echo $HOME > /tmp/number
USER 4242
RUN echo $HOME > /tmp/unknown
USER bare
RUN echo "[$HOME]" > /tmp/bare
USER lost
RUN echo $HOME > /tmp/lost; pwd >> /tmp/lost
USER bob:video
RUN echo $HOME > /tmp/group
""",
        files=_ACCOUNTS,
    ),
    Case(
        name="run-user-home-of-env",
        why="an ENV HOME is never replaced",
        dockerfile="FROM base\nENV HOME=/chosen\nUSER bob\nRUN echo $HOME > /tmp/seen\nUSER 0\nRUN echo $HOME > /tmp/zero\n",
    ),
    Case(
        name="run-user-home-of-arg",
        why="nor is an ARG HOME",
        dockerfile="FROM base\nARG HOME=/chosen\nUSER bob\nRUN echo $HOME > /tmp/seen\n",
    ),
    Case(
        name="run-user-home-empty",
        why="an ENV HOME that is empty",
        dockerfile='FROM base\nENV HOME=\nUSER bob\nRUN echo "[$HOME]" > /tmp/seen\n',
    ),
    Case(
        name="run-user-unknown-number",
        why="a uid that passwd does not know has gid 0 and no other group",
        dockerfile="FROM base\nUSER 4242\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; id -G >> /tmp/seen; touch /tmp/made\n",
    ),
    Case(
        name="run-user-unknown-numbers",
        why="numbers need no names",
        dockerfile="FROM base\nUSER 4242:4343\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; id -G >> /tmp/seen\n",
    ),
    Case(
        name="run-user-group-alone",
        why="`:group` is root with that group",
        dockerfile="FROM base\nUSER :audio\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; id -G >> /tmp/seen; echo $HOME >> /tmp/seen\n",
    ),
    Case(
        name="run-user-root-has-groups",
        why="root too is in the groups that list it, without any USER; not with a group",
        dockerfile="FROM base\nCOPY passwd group /etc/\nRUN id -G > /seen\nUSER root\nRUN id -G >> /seen\nUSER 0:0\nRUN id -G >> /seen\n",
        files=_ACCOUNTS,
    ),
    Case(
        name="run-user-variable",
        why="USER expands",
        dockerfile="FROM base\nARG WHO=ann\nENV GROUP=audio\nUSER $WHO:${GROUP}\nRUN id -u > /tmp/seen; id -G >> /tmp/seen\n",
    ),
    Case(
        name="run-user-number-as-name",
        why="a number is a uid even where an account has it as its name",
        dockerfile="FROM base\nRUN echo '77:x:88:99::/odd:/bin/sh' >> /etc/passwd\nUSER 77\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; echo $HOME >> /tmp/seen\n",
    ),
    Case(
        name="run-user-made-in-the-build",
        why="an account that an earlier step made",
        dockerfile="""\
FROM base
RUN mkdir -p /home/new && echo 'new:x:77:78::/home/new:/bin/sh' >> /etc/passwd && chown 77:78 /home/new
USER new
WORKDIR /home/new
RUN id -u > seen && id -g >> seen && echo $HOME >> seen && mkdir folder
""",
    ),
    Case(
        name="run-scratch-without-passwd",
        why="an image without passwd, /etc, /tmp or /dev runs all the same; /dev, /proc and /sys stay as empty directories, /etc does not",
        dockerfile="""\
FROM base AS tools
FROM scratch
COPY --from=tools /bin /bin
RUN echo $HOME > /seen; id -G >> /seen; ls -A / | sort >> /seen
USER 5:6
RUN ["/bin/sh", "-c", "test $HOME = / && test $(id -u) = 5"]
""",
        base="scratch",
        unseen=("/bin", "/bin/*"),
    ),
    Case(
        name="run-user-without-passwd",
        why="a user alone is looked up, even a number, and even uid 0: an image without passwd refuses it",
        dockerfile="FROM base AS tools\nFROM scratch\nCOPY --from=tools /bin /bin\nUSER 0\nRUN true\n",
        base="scratch",
        fails="passwd",
        line=5,
    ),
    Case(
        name="run-user-empty-passwd",
        why="an empty passwd is enough for a number; HOME is / also for uid 0",
        dockerfile="""\
FROM base AS tools
FROM scratch
COPY --from=tools /bin /bin
COPY empty /etc/passwd
USER 0
RUN echo $HOME $(id -u) $(id -G) > /seen
""",
        files={"empty": ""},
        base="scratch",
        unseen=("/bin", "/bin/*"),
    ),
    Case(
        name="run-user-may-not",
        why="another user may not write in /",
        dockerfile="FROM base\nUSER 4242\nRUN touch /denied\n",
        fails="exit code 1",
        line=3,
    ),
    Case(
        name="run-user-has-no-capabilities",
        why="they are in the bounding set only",
        dockerfile="FROM base\nUSER 4242\nRUN grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status > /tmp/seen\n",
    ),
    Case(
        name="run-setuid-works",
        why="neither nosuid nor no_new_privs: sudo works in a build",
        dockerfile="FROM debian\nRUN cp /usr/bin/id /suid && chmod 6755 /suid\nUSER 1000:1000\nRUN /suid -u > /tmp/seen; /suid -g >> /tmp/seen\n",
        base="debian",
    ),
    Case(
        name="run-user-keeps-for-next-stage",
        why="USER is part of what a stage hands on",
        dockerfile="FROM base AS first\nUSER ann\nFROM first\nRUN id -u > /tmp/seen\n",
    ),
)

CASES = (*_PROCESS, *_USERS)
