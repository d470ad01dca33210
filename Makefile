# Every target does its own set-up: `make demo` and `make test` are all that a fresh machine needs.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: setup
setup: ## install what is missing: system packages, .venv, the test Kubernetes
	@tests/cluster/setup.sh

.PHONY: demo
demo: setup ## a backup and its restore on real parts as a user sees them, then a schedule (two minutes more)
	@$(PYTHON) -m tests.cluster.demo

# How many processes share the tests; each has servers of its own.
WORKERS = 2

.PHONY: test
test: setup ## all tests but those that need a whole node or real S3 servers; WORKERS=2
	@$(PYTHON) -m pytest -n $(WORKERS) --no-loadscope-reorder -m "not e2e and not s3"

.PHONY: test-unit
test-unit: setup ## the tests that need no server
	@$(PYTHON) -m pytest -m "not integration and not e2e"

.PHONY: test-s3
test-s3: ## the worker against a real MinIO and a real Ceph
	@tests/cluster/setup.sh minio ceph
	@$(PYTHON) -m pytest -m s3

# The tests that the page of faults names, without those of a whole node.
FAULTS = $(shell grep -oE 'tests/[a-z0-9_/]+\.py::[a-z0-9_]+' docs/reference/faults.md | grep -v '^tests/e2e' | sort -u)

.PHONY: test-faults
test-faults: setup ## only the tests of docs/reference/faults.md
	@$(PYTHON) -m pytest -n $(WORKERS) --no-loadscope-reorder $(FAULTS)

.PHONY: bench
bench: ## the worker against a dumper alone and the original's way; BENCH_MB=820, BENCH_ROUNDS=3
	@tests/cluster/setup.sh bench
	@$(PYTHON) -m tests.bench.worker
	@$(PYTHON) -m tests.bench.tidb

.PHONY: bench-restore
bench-restore: ## a restore by the worker against download, unpack and myloader; BENCH_MB=820, BENCH_ROUNDS=3
	@tests/cluster/setup.sh bench
	@$(PYTHON) -m tests.bench.restore

.PHONY: bench-controller
bench-controller: setup ## the controller among thousands of objects; BENCH_FINISHED=100 BENCH_WAITING=100 ... make it small
	@$(PYTHON) -m tests.bench.controller

.PHONY: test-e2e
test-e2e: setup ## the image and the manifests on a real kubelet, as root
	@if $(PYTHON) -m tests.cluster.real.prerequisites; then \
	tests/cluster/setup.sh e2e ceph && $(PYTHON) -m tests.cluster.real.image; fi
	@$(PYTHON) -m pytest -m e2e

# What the labels of the image say; an address may have a login in it, which no label may have.
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' tidbbackup/__init__.py)
SOURCE = $(shell git config --get remote.origin.url 2>/dev/null | sed 's|//[^/]*@|//|')
REVISION = $(shell git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null)
CREATED = $(shell date -u +%Y-%m-%dT%H:%M:%SZ)
LABELS = $(foreach each,version=$(VERSION) created=$(CREATED) $(SOURCE:%=source=%) $(REVISION:%=revision=%), \
	--label 'org.opencontainers.image.$(each)')

.PHONY: image
image: ## the image and the list of what is in it, by docker or podman where they are, else without a registry
	@with=; if docker info >/dev/null 2>&1; then with=docker; elif command -v podman >/dev/null; then with=podman; fi; \
	if [ -n "$$with" ]; then \
	$$with build $(LABELS) -t tidbbackup:$(VERSION) . && \
	$$with run --rm --network none --entrypoint cat tidbbackup:$(VERSION) /opt/tidbbackup/sbom.cdx.json \
	>tidbbackup-$(VERSION).cdx.json; \
	else tests/cluster/setup.sh e2e && $(PYTHON) -m tests.cluster.real.image; fi

.PHONY: release
release: ## all files of a release in dist/, made of the last commit; IMAGE=NAME@sha256:... once the image is pushed
	@tests/cluster/setup.sh e2e
	@$(PYTHON) -m release.build $(IMAGE:%=--image=%)

.PHONY: up
up: setup ## start Kubernetes, S3, MariaDB, TiDB and the controller in the background; writes .run/env
	@$(PYTHON) -m tests.cluster.up start

.PHONY: down
down: ## stop what `make up` started
	@test ! -x $(PYTHON) || $(PYTHON) -m tests.cluster.up stop

.PHONY: lint
lint: setup ## ruff, mypy and the import contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

.PHONY: site
site: setup ## the documentation as a site, in .run/site; fails on a page or a link that is not there
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[site]'
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

.PHONY: format
format: setup ## let ruff write the code its way
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

.PHONY: crds
crds: setup ## write manifests/crd and docs/reference/api.md from the model
	@$(PYTHON) -m manifests.generate

.PHONY: manifests
manifests: crds ## write manifests/crds.yaml and install.yaml
	@$(PYTHON) -m manifests.compose

.PHONY: clean
clean: down ## remove everything that was made in this folder (not the cache of built binaries)
	@rm -rf .venv .run dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
