# The one door: `make help` lists what it opens.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PACKAGES := $(VENV)/.packages
# Without root nothing is installed, and what needs no kernel works all the same.
IF_ROOT := $(if $(filter 0,$(shell id -u)),$(PACKAGES))
DEBIAN_PACKAGES := python3-venv iproute2 libbpf1 nginx-light tcpdump procps nftables bpftool
BPF_SOURCES := $(wildcard src/wlbs/*/bpf/*.c src/wlbs/*/bpf/*.h)

.PHONY: help setup demo test prove check fix bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(STAMP) $(IF_ROOT) ## as root, install the Debian packages needed; build .venv with .venv/bin/wlbs

$(PACKAGES): packaging/debian-packages
	@bash packaging/debian-packages $(DEBIAN_PACKAGES)
	@mkdir -p $(VENV) && touch $@

$(STAMP): pyproject.toml constraints.txt hatch_build.py $(BPF_SOURCES) | $(IF_ROOT)
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) $(IF_ROOT) ## show an outage and its cure; without root in the simulator
	@$(BIN)/wlbs demo

test: $(PACKAGES) $(STAMP) check ## everything CI runs: the checks, then every test; nothing may be skipped
	@STRICT=1 $(BIN)/python -m pytest -m 'not prove'

prove: $(PACKAGES) $(STAMP) check ## the long form of the tests
	@STRICT=1 $(BIN)/python -m pytest

check: $(STAMP) ## format, lint, types, import contracts; changes nothing
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: $(PACKAGES) $(STAMP) ## measure the data path and the agent; writes bench/out.json (needs root)
	@$(BIN)/python bench/datapath.py --output bench/out.json
	@$(BIN)/python bench/agents.py --add-to bench/out.json

clean: ## remove what set-up and tests left in the tree
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src -name '*.bpf.o' -delete
