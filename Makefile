# Every target makes what it needs on a fresh machine; `make help` prints these comments.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
REAL_MODELS := '.[embedded,claude,codex,openai]'
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: help demo test tools providers lint format docs bench clean

help: ## Print this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.demo ## Run the whole job on a throw-away repository (MODEL=sonnet for a real model)
	@$(if $(MODEL),$(PIP) install -e $(REAL_MODELS))
	@$(VENV)/bin/gatewright demo $(if $(MODEL),--model $(MODEL)) $(DEMO_FLAGS)

test: $(VENV)/.test ## Run all tests; PYTEST_FLAGS are passed on
	@bash deploy/prerequisites.sh test
	$(VENV)/bin/python -m pytest $(PYTEST_FLAGS)

tools: .tools/.made ## Install the agent runtimes that npm brings, into .tools (about 460 MB)

providers: $(VENV)/.test .tools/.made ## Run one task through every provider, each alone with a scripted model
	@bash deploy/prerequisites.sh test
	$(VENV)/bin/python -m pytest -v tests/flow/test_every_provider.py $(PYTEST_FLAGS)

lint: $(VENV)/.test ## Check style, types, and that generated docs are fresh
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m tests.docs --check

format: $(VENV)/.test ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(VENV)/.test ## Write the docs that are made from code
	$(VENV)/bin/python -m tests.docs --write

bench: $(VENV)/.bench ## Measure speed and memory, beside peers, in one run
	$(VENV)/bin/python -m tests.bench

clean: ## Remove everything the other targets made
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

$(VENV)/.made:
	@bash deploy/prerequisites.sh
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install pip
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Gatewright (about 25 MB) ..."
	@$(PIP) install -e '.[embedded]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing what the tests need (about 350 MB, most of it the Claude and Codex runtimes) ..."
	@$(PIP) install -e '.[embedded,fast,claude,codex,openai]' --group test --group lint
	@touch $@

.tools/.made: $(VENV)/.made deploy/tools/package-lock.json deploy/tools/install.sh
	@echo "Installing the agent runtimes (about 200 MB to fetch) ..."
	@PIP_CONSTRAINT= PYTHON=$(VENV)/bin/python bash deploy/tools/install.sh .tools
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Installing the peers that are measured beside Gatewright ..."
	@PIP_CONSTRAINT= $(PIP) install --group bench
	@touch $@
