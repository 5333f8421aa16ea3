"""Whole Dockerfiles as they are found in the wild: apt, pip and npm from the network, several stages, services and tools.

They need Debian's mirror, PyPI and the npm registry. Where a proxy with its own certificate stands before these, the machine's list of
certificates is handed in as a secret, as one does there; elsewhere it changes nothing.
"""

from case import Case, File

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_TRUST = ("--secret", f"id=certificates,src={_CERTIFICATES}")
_TRUSTING = f"--mount=type=secret,id=certificates,target={_CERTIFICATES}"

# What packages bring changes with the mirror; what a Dockerfile itself makes stands elsewhere, and is compared.
_PACKAGES = (
    "/usr/[!l]*",  # all but /usr/local and /usr/lib*
    "/usr/lib*",
    "/etc/alternatives*",
    "/etc/ld.so.*",  # a cache that ldconfig writes, and its list of directories
    *("/etc/cron.*", "/etc/default*", "/etc/gss*", "/etc/init.d*", "/etc/iproute2*", "/etc/logrotate.d*", "/etc/python3*", "/etc/ufw*"),
    "/var/lib/dpkg/*",  # versions and sums of all packages
    "/var/lib/[!dp]*",  # states of packages' own
    "/var/www*",
)
# By-products with times, process ids or chance in them.
_VOLATILE = (
    "/var/cache/*",  # apt, debconf, ldconfig's aux-cache, man's index
    "/var/log/*",  # apt and dpkg say when they ran
    "/var/lib/apt/*",  # lists of packages, and which were asked for
    "/var/lib/systemd/*",  # which units packages switched on
    "*/__pycache__*",  # have the times of their sources
    "/tmp/*",
    "/run*",
)
_UNSEEN = (*_PACKAGES, *_VOLATILE)

_PYTHON = Case(
    name="real-python-service",
    why="a virtual environment made in one stage and copied to the next, which runs it as another user",
    dockerfile=f"""\
ARG PYTHONDONTWRITEBYTECODE=1

FROM debian AS build
ARG PYTHONDONTWRITEBYTECODE
ENV PIP_NO_CACHE_DIR=1 \\
    PIP_DISABLE_PIP_VERSION_CHECK=1 \\
    PIP_CERT={_CERTIFICATES}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends python3 python3-venv \\
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements.txt .
RUN {_TRUSTING} \\
    python3 -m venv /tmp/pip && \\
    /tmp/pip/bin/pip --python /opt/venv/bin/python install --no-compile --no-deps -r requirements.txt

FROM debian
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
RUN apt-get update && apt-get install -y --no-install-recommends python3-minimal libpython3-stdlib && apt-get clean && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 999 app && useradd --system --uid 999 --gid app --home-dir /app --shell /usr/sbin/nologin app
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY --chown=app:app app/ ./
USER app
RUN python -c 'import app; app.main()' > data/started
EXPOSE 8000/tcp
HEALTHCHECK --interval=30s --timeout=3s CMD ["python", "-c", "import app"]
ENTRYPOINT ["python", "-m"]
CMD ["app"]
""",
    files={
        "requirements.txt": "click==8.1.7\nitsdangerous==2.2.0\n",
        "app/app.py": "import click\nimport itsdangerous\n\n\ndef main():\n    print(click.__name__, itsdangerous.Signer('k').sign(b'v').decode())\n",
        "app/data/notes.txt": "notes\n",
        ".dockerignore": "**/*.pyc\n.git\n",
    },
    args=_TRUST,
    base="debian",
    varies=("/etc/shadow*",),
    unseen=_UNSEEN,
)

_NODE = Case(
    name="real-node-npm-ci",
    why="npm ci from a lock file with a cache mount, then a smaller stage with the production modules alone",
    dockerfile=f"""\
ARG NPM=10.8.2
FROM debian AS node
RUN apt-get update && apt-get install -y --no-install-recommends nodejs curl && rm -rf /var/lib/apt/lists/*

FROM node AS modules
ARG NPM
WORKDIR /opt
RUN {_TRUSTING} curl -fsSL https://registry.npmjs.org/npm/-/npm-$NPM.tgz | tar xz && \\
    printf '#!/bin/sh\\nexec node /opt/package/bin/npm-cli.js "$@"\\n' > /usr/local/bin/npm && chmod +x /usr/local/bin/npm
WORKDIR /app
ENV NODE_EXTRA_CA_CERTS={_CERTIFICATES}
COPY package.json package-lock.json ./
RUN {_TRUSTING} --mount=type=cache,id=real-node,target=/root/.npm \\
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node
ENV NODE_ENV=production
RUN useradd --create-home --user-group --uid 1500 node
WORKDIR /app
COPY --from=modules --chown=node:node /app/node_modules ./node_modules
COPY --chown=node:node . .
USER node
RUN node index.js > /home/node/ran
EXPOSE 3000
CMD ["node", "index.js"]
""",
    files={
        "package.json": '{"name": "app", "version": "1.0.0", "private": true, "dependencies": {"ms": "2.1.3"}, "devDependencies": {"once": "1.4.0"}}\n',
        "package-lock.json": """\
{
  "name": "app",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {"name": "app", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, "devDependencies": {"once": "1.4.0"}},
    "node_modules/ms": {
      "version": "2.1.3",
      "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz",
      "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="
    },
    "node_modules/once": {
      "version": "1.4.0",
      "resolved": "https://registry.npmjs.org/once/-/once-1.4.0.tgz",
      "integrity": "sha512-lNaJgI+2Q5URQBkccEKHTQOPaXdUxnZZElQTZY0MFUAuaEqe1E+Nyvgdz/aIyNi6Z9MzO5dv1H8n58/GELp3+w==",
      "dev": true
    }
  }
}
""",
        "index.js": "console.log(require('ms')('2 days'));\n",
        "README.md": "not in the image\n",
        ".dockerignore": "node_modules\n*.md\n",
    },
    args=_TRUST,
    base="debian",
    varies=("/etc/shadow*",),
    unseen=_UNSEEN,
)

_C_FILES = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.13)
project(greet C)
add_library(greeting STATIC src/greeting.c)
add_executable(greet src/main.c)
target_link_libraries(greet greeting)
target_compile_definitions(greeting PRIVATE NAME="${NAME}")
install(TARGETS greet DESTINATION bin)
install(FILES src/greeting.h DESTINATION include)
""",
    "src/greeting.h": "const char *greeting(void);\n",
    "src/greeting.c": '#include "greeting.h"\nconst char *greeting(void) { return "hello " NAME; }\n',
    "src/main.c": '#include <stdio.h>\n#include "greeting.h"\nint main(void) { puts(greeting()); return 0; }\n',
}

_CMAKE = Case(
    name="real-c-cmake",
    why="a C project configured, built, tested and installed in one stage, used in another",
    dockerfile="""\
FROM debian AS toolchain
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install --no-install-recommends --yes \\
      cmake \\
      gcc \\
      libc6-dev \\
      # make, and not ninja
      make \\
    && rm -rf /var/lib/apt/lists/*

FROM toolchain AS build
ARG NAME=world
WORKDIR /build
COPY CMakeLists.txt /source/
COPY src /source/src
RUN cmake -S /source -B . -DCMAKE_BUILD_TYPE=Release -DNAME=$NAME \\
 && cmake --build . --parallel 2 \\
 && DESTDIR=/out cmake --install . --prefix /usr/local

FROM build AS test
RUN test "$(/out/usr/local/bin/greet)" = "hello $NAME" && echo passed > /passed

FROM debian
COPY --from=build /out/ /
COPY --from=test /passed /usr/local/share/passed
RUN greet > /greeting
CMD ["greet"]
""",
    files=_C_FILES,
    args=("--build-arg", "NAME=conformance"),
    base="debian",
    varies=("/usr/local/bin/greet",),
    unseen=_UNSEEN,
)

_STATIC = Case(
    name="real-static-scratch",
    why="a static program alone in an image: no shell, no libraries, a user by number",
    dockerfile="""\
FROM debian AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY src/*.c src/*.h /src/
RUN gcc -static -O2 -s -DNAME='"scratch"' -o /greet /src/*.c && /greet

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chmod=0555 /greet /
COPY <<EOF /etc/passwd
nobody:x:65534:65534:nobody:/:/sbin/nologin
EOF
USER 65534:65534
RUN ["/greet"]
ENTRYPOINT ["/greet"]
""",
    files=_C_FILES,
    base="scratch",
    varies=("/greet", "/etc/ssl/certs/ca-certificates.crt"),
)

_NGINX = Case(
    name="real-web-server",
    why="a server with its configuration, logs that lead to the terminal, and a signal of its own",
    dockerfile="""\
FROM debian
LABEL maintainer="Web Team <web@example.org>"
RUN set -eux; \\
    addgroup --system --gid 101 nginx; \\
    adduser --system --disabled-login --ingroup nginx --no-create-home --home /nonexistent --gecos "nginx user" --shell /bin/false --uid 101 nginx; \\
    apt-get update; \\
    apt-get install -y --no-install-recommends nginx-light; \\
    rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/default; \\
    ln -sf /dev/stdout /var/log/nginx/access.log; \\
    ln -sf /dev/stderr /var/log/nginx/error.log
COPY nginx.conf /etc/nginx/nginx.conf
COPY --chown=nginx:nginx html /usr/local/share/www
COPY --chmod=755 <<'EOF' /usr/local/bin/start
#!/bin/sh
set -e
exec nginx -g "daemon off; $EXTRA"
EOF
RUN nginx -t -q && find /usr/local/share/www -type f -exec gzip -9 -n -k {} + && readlink /var/log/nginx/*.log > /logs
VOLUME /var/cache/nginx
EXPOSE 80 443
STOPSIGNAL SIGQUIT
CMD ["start"]
""",
    files={
        "nginx.conf": "user nginx;\nevents {}\nhttp {\n  server { listen 8080; root /usr/local/share/www; }\n}\n",
        "html/index.html": "<!doctype html><title>hello</title>\n",
        "html/css/style.css": "body { margin: 0 }\n",
    },
    base="debian",
    varies=("/etc/shadow*", "/etc/nginx/*"),
    unseen=_UNSEEN,
)

_APT_CACHE = Case(
    name="real-apt-cache-mounts",
    why="apt's lists and archives in caches: none of them is in the image, and the second step needs no network for them",
    dockerfile="""\
FROM debian
RUN rm -f /etc/apt/apt.conf.d/docker-clean; echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,id=real-apt-cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,id=real-apt-lib,target=/var/lib/apt,sharing=locked \\
    apt-get update && apt-get install -y --no-install-recommends bzip2 less && ls /var/cache/apt/archives | grep -c -e ^bzip2_ -e ^less_ > /kept
RUN --network=none \\
    --mount=type=cache,id=real-apt-cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,id=real-apt-lib,target=/var/lib/apt,sharing=locked \\
    apt-get install -y --no-install-recommends --reinstall less && dpkg --verify bzip2 less && echo verified >> /kept
RUN ls /var/cache/apt/archives /var/lib/apt/lists 2>&1 | grep -c -e _ -e bz || true
""",
    base="debian",
    varies=("/usr/share/*", "/usr/bin/*"),
    unseen=("/var/lib/dpkg/*", "/etc/ld.so.cache", *_VOLATILE),
)

_DEVCONTAINER = Case(
    name="real-devcontainer",
    why="a user with sudo, whose number and name are arguments, and tools that the user installs at home",
    dockerfile="""\
ARG VARIANT=debian
FROM ${VARIANT}
ARG USERNAME=vscode
ARG USER_UID=1000
ARG USER_GID=$USER_UID
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \\
    && apt-get -y install --no-install-recommends sudo procps 2>&1 | tail -n 1 \\
    && groupadd --gid $USER_GID $USERNAME \\
    && useradd -s /bin/bash --uid $USER_UID --gid $USER_GID -m $USERNAME \\
    && echo "$USERNAME ALL=(root) NOPASSWD:ALL" > /etc/sudoers.d/$USERNAME \\
    && chmod 0440 /etc/sudoers.d/$USERNAME \\
    && apt-get autoremove -y && apt-get clean -y && rm -rf /var/lib/apt/lists/*
USER $USERNAME
WORKDIR /home/$USERNAME
RUN sudo sh -c 'id -u; id -un; echo $SUDO_USER' > ids && whoami >> ids && id -Gn >> ids
RUN mkdir -p ~/.local/bin ~/.config && printf 'alias ll="ls -l"\\n' >> ~/.bashrc && install -m 700 /dev/stdin ~/.local/bin/hi <<'EOF'
#!/bin/bash
echo "hi ${1:-you}"
EOF
ENV PATH=/home/$USERNAME/.local/bin:$PATH
RUN hi | tee greeting && sudo chown root:root greeting
ENV DEBIAN_FRONTEND=dialog
CMD ["sleep", "infinity"]
""",
    args=("--build-arg", "USER_UID=1234"),
    base="debian",
    varies=("/etc/shadow*", "/usr/*", "/etc/sudo*", "/etc/pam.d/*", "/etc/sysctl*"),
    unseen=("/usr/share/*", "/var/lib/dpkg/*", "/etc/alternatives*", "/etc/init.d*", "/etc/ld.so.cache", *_VOLATILE),
)

_MAKEFILE = Case(
    name="real-makefile-bind",
    why="the sources are bound, not copied: only what make installs is in the image",
    dockerfile="""\
FROM debian AS build
RUN --mount=type=cache,id=real-make-apt,target=/var/lib/apt/lists apt-get update && apt-get install -y --no-install-recommends make
ARG VERSION=dev
RUN --mount=type=bind,source=.,target=/src,rw \\
    --mount=type=tmpfs,target=/work \\
    make -C /src BUILD=/work DESTDIR=/out VERSION=$VERSION all install && touch /src/left-behind
RUN --mount=target=/src test ! -e /src/left-behind && test ! -e /src/stamp

FROM debian
COPY --from=build --link /out/ /
RUN tool --version > /version
""",
    files={
        "Makefile": """\
.PHONY: all install
all: $(BUILD)/tool stamp
$(BUILD)/tool: tool.in
\tsed 's/@VERSION@/$(VERSION)/' $< > $@
stamp:
\ttouch stamp
install: all
\tinstall -D -m 755 $(BUILD)/tool $(DESTDIR)/usr/local/bin/tool
\tinstall -D -m 644 docs/tool.1 $(DESTDIR)/usr/local/share/man/man1/tool.1
\tinstall -d -m 1777 $(DESTDIR)/var/spool/tool
\tln -s tool $(DESTDIR)/usr/local/bin/t
""",
        "tool.in": "#!/bin/sh\necho tool @VERSION@\n",
        "docs/tool.1": ".TH TOOL 1\n",
        "secret.env": "TOKEN=x\n",
    },
    args=("--build-arg", "VERSION=3.2.1"),
    base="debian",
)

_DOCS = Case(
    name="real-docs-site",
    why="a site made by a script in the Dockerfile itself, exported as files alone",
    dockerfile=f"""\
FROM debian AS tools
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
RUN {_TRUSTING} \\
    --mount=type=cache,id=real-docs-pip,target=/root/.cache/pip \\
    python3 -m venv /venv && /venv/bin/pip --cert {_CERTIFICATES} install -q Markdown==3.5.2

FROM tools AS site
WORKDIR /site
COPY docs/ docs/
ARG TITLE="The docs"
RUN <<EOF
#!/venv/bin/python
import os, pathlib, markdown
page = "<title>{{title}}</title>\\n{{body}}\\n"
for source in sorted(pathlib.Path("docs").rglob("*.md")):
    target = pathlib.Path("public") / source.relative_to("docs").with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.format(title=os.environ["TITLE"], body=markdown.markdown(source.read_text())))
EOF
RUN cp -r docs/static public/ && (cd public && find . -type f | LC_ALL=C sort | xargs sha256sum) > public/SUMS

FROM scratch AS export
COPY --from=site /site/public/ /
LABEL org.opencontainers.image.title="docs"
""",
    files={
        "docs/index.md": "# Welcome\n\nTo *the* docs.\n",
        "docs/guide/start.md": "## Start\n\n1. one\n2. two\n",
        "docs/static/logo.svg": "<svg/>\n",
    },
    args=(*_TRUST, "--build-arg", "TITLE=Über uns", "--target", "export"),
    base="scratch",
)

_SERVICE = Case(
    name="real-service-entrypoint",
    why="an entrypoint script that drops root, a health check, labels of the build, three targets of which one is built",
    dockerfile="""\
# check=skip=SecretsUsedInArgOrEnv
ARG VERSION=0.0.0
FROM debian AS runtime
RUN --mount=type=tmpfs,target=/var/lib/apt/lists \\
    apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/cache/apt/*
ENV APP_HOME=/srv/service \\
    APP_USER=service
RUN useradd -r -u 200 -d $APP_HOME $APP_USER && install -d -o $APP_USER -g $APP_USER -m 0750 $APP_HOME $APP_HOME/data
WORKDIR $APP_HOME
COPY entrypoint.sh /usr/local/bin/
COPY conf.d/ /etc/service/conf.d/
ENTRYPOINT ["tini", "--", "entrypoint.sh"]

FROM runtime AS debug
RUN apt-get update && apt-get install -y no-such-debugger

FROM runtime AS test
RUN entrypoint.sh --version > /srv/service/tested

FROM runtime AS release
ARG VERSION
ARG REVISION=unknown
COPY --from=test $APP_HOME/tested .
RUN sed -i "s/^level=.*/level=warn/" /etc/service/conf.d/log.conf && chmod -R go-w /etc/service
LABEL org.opencontainers.image.version=$VERSION \\
      org.opencontainers.image.revision=$REVISION \\
      org.opencontainers.image.title="A service"
ENV VERSION=${VERSION}
VOLUME ["/srv/service/data"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=3 CMD entrypoint.sh --check || exit 1
CMD ["serve", "--listen", ":8080"]
""",
    files={
        "entrypoint.sh": File(
            '#!/bin/sh\nset -e\ncase "$1" in\n  --version) echo "service" ;;\n  *) exec setpriv --reuid=$APP_USER --init-groups "$@" ;;\nesac\n',
            mode=0o755,
        ),
        "conf.d/log.conf": File("level=debug\n", mode=0o664),
        "conf.d/listen.conf": "port=8080\n",
    },
    args=("--build-arg", "VERSION=2.5.0", "--build-arg", "REVISION=abc123", "--target", "release"),
    base="debian",
    varies=("/etc/shadow*",),
    unseen=_UNSEEN,
)

CASES = (_PYTHON, _NODE, _CMAKE, _STATIC, _NGINX, _APT_CACHE, _DEVCONTAINER, _MAKEFILE, _DOCS, _SERVICE)
