# `make run` sets everything up and builds a real image; `make test` sets everything up and runs all checks and tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXAMPLE := //examples/web:web
JOBS ?= auto

# What some tests compare with, or start: they skip, naming the package, where it is missing and we may not install it.
PEERS := apache2-utils attr bubblewrap buildah busybox-static docker.io docker-registry libcap2-bin mmdebstrap podman qemu-user-static skopeo uidmap umoci

.PHONY: run test lint fmt bench docs clean peers install

run: install
	$(BIN)/graphbuild run $(EXAMPLE)
	@echo
	@echo "built examples/web/dist: load it with"
	@echo "  docker load -i examples/web/dist/web.tar"
	@echo "then change examples/web/src and run 'make run' again: only the code is copied and compiled anew"

test: lint peers
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd plugins/debian && ../../$(BIN)/mypy
	cd plugins/dockerfile && ../../$(BIN)/mypy

fmt: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install peers
	$(BIN)/python -m compileall -q graphbuild plugins/debian/graphbuild_debian plugins/dockerfile/graphbuild_dockerfile
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/containers.py
	$(BIN)/python benchmarks/nodes.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/where.py

docs: install
	$(BIN)/python docs/reference.py

install: $(STAMP)

$(STAMP): pyproject.toml plugins/debian/pyproject.toml plugins/dockerfile/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]' -e plugins/debian -e plugins/dockerfile
	$(BIN)/python -m compileall -q graphbuild plugins/debian/graphbuild_debian plugins/dockerfile/graphbuild_dockerfile
	touch $@

peers:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=$$(for package in $(PEERS); do dpkg-query -W -f '$${Status}\n' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
		if [ -n "$$missing" ]; then \
			echo "installing what tests compare with:" $$missing; \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$missing >/dev/null || true; \
		fi; \
	fi

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis examples/*/dist dist
