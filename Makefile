# One verb per gate. Everything happens in .venv (ours) and .venvs (the emulator's and the containers').
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
DATA ?= $(or $(SYNCBOARD_DATA),.local)
SEED ?= 1
STAGE ?= dev
JOBS ?= 500
MUTATIONS ?= 1000
SIZES ?= 1000 10000
BIN := .venv/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo run localstack unit test lint chaos bench bench-scale corpus fuzz package images images-test deploy destroy audit clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# --- Environments: made once, made anew when their lock file changes -----------------------------------------

.make/local: requirements/local.txt pyproject.toml local/bootstrap.sh
	@sh local/bootstrap.sh $(PYTHON) requirements/local.txt

.make/dev: requirements/dev.txt .make/local
	@sh local/bootstrap.sh $(PYTHON) requirements/dev.txt

setup: .make/dev ## Install everything that development needs
	@$(BIN)/python -m local.setup

# --- Using it ------------------------------------------------------------------------------------------------

demo: .make/local ## Run the bundled samples through a stack of their own
	@$(BIN)/syncboard demo

run: .make/local ## Serve API and page on http://HOST:PORT
	@$(BIN)/syncboard up --host $(HOST) --port $(PORT) --data $(DATA)

localstack: .make/local ## The same on LocalStack, which Docker Compose starts unless it runs (AWS_ENDPOINT_URL)
	@$(BIN)/python -m local.localstack --host $(HOST) --port $(PORT) --data $(DATA) $(ARGS)

# --- Gates ---------------------------------------------------------------------------------------------------

unit: .make/dev ## Unit tests: seconds, no network
	@$(BIN)/python -m pytest tests/unit -q

test: setup ## Every test, and a table of what ran where
	@$(BIN)/python -m tests.report

lint: .make/dev ## ruff, mypy, template checks, openapi.json, known vulnerabilities
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/cfn-lint infra/data.yaml
	@$(BIN)/python -m infra.checks
	@$(BIN)/python -m infra.package --check
	@$(BIN)/python -m infra.openapi --check
	@$(BIN)/python -m infra.audit

chaos: setup ## Storms against a real stack, then the audit (SEED=1 JOBS=500)
	@$(BIN)/python -m tests.chaos --seed $(SEED) --jobs $(JOBS)

bench: setup ## Load, side by side with Celery and Redis where they are installed
	@$(BIN)/python -m bench.load $(ARGS)

bench-scale: setup ## Libraries of several sizes (SIZES="1000 10000 100000" ARGS="--replaced 1000 10000")
	@$(BIN)/python -m bench.scale --sizes $(SIZES) $(ARGS)

corpus: setup ## A folder with a manifest.json through a real stack (DIR=folder)
	@$(BIN)/python -m bench.corpus --dir $(DIR) $(ARGS)

fuzz: setup ## Mutated files into every parser (SEED=1 MUTATIONS=1000)
	@$(BIN)/python -m tests.fuzz --seed $(SEED) --mutations $(MUTATIONS)

package: .make/dev ## Build what is deployed, and check it (needs Python 3.12 or newer)
	@$(BIN)/python -m infra.package $(ARGS)

images: ## Build the images of containers/ with Docker or Podman (BASE=another base, ARGS="--network host ocr")
	@$(PYTHON) -m infra.images $(if $(BASE),--base $(BASE)) $(ARGS)

images-test: setup ## Run the built images as Lambda would, on real jobs; fails where it can't
	@$(BIN)/python -m tests.images $(ARGS)

deploy: .make/dev ## Package and deploy STAGE to AWS, try it, say where it is (ARGS=--dry-run: show what would change)
	@$(BIN)/python -m infra.deploy --stage $(STAGE) $(ARGS)

destroy: .make/dev ## Take STAGE down; its data stays (ARGS=--delete-data: goes, too)
	@$(BIN)/python -m infra.destroy --stage $(STAGE) $(ARGS)

audit: .make/dev ## Known vulnerabilities of what the lock files pin
	@$(BIN)/python -m infra.audit

clean: ## Remove environments and build output; data stays
	@rm -rf .venv .venvs .make build
