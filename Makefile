# Everything a person does with this project, by name. `make` alone explains itself.
.DEFAULT_GOAL := help
.PHONY: help run demo test check lint format types walls migrations schema schema-check deploy-check lock manage shell verify sweep fuzz soak bench-images bench-dashboard screenshots clean

PYTHON ?= python3
BIN := .venv/bin

# What is run from here runs on a developer's machine: DEBUG is on unless the environment or .env says otherwise, and
# the samples of the guide may run without a credential, from this machine only. Production does not use this file.
export UNIFIED_DEVELOPMENT := 1
export PYTHONUNBUFFERED := 1

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## Set up what is missing and serve on 127.0.0.1:8000 (or PORT=…)
	@exec $(BIN)/python manage.py quickstart

demo: .venv/installed-examples ## One sign-in, one pool: Unified, a stand-in for Google and two example apps
	@exec $(BIN)/python -m examples.demo

test: check ## All checks, then the whole test suite
	@$(BIN)/python -m pytest $(ARGS)

check: .venv/installed-dev lint types walls migrations schema-check deploy-check ## Lint, types, walls, migrations, schema, production settings

lint: .venv/installed-dev
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .

format: .venv/installed-dev ## Let ruff lay out the code and mend what it can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

types: .venv/installed-dev
	@$(BIN)/mypy

walls: .venv/installed-dev
	@$(BIN)/lint-imports --no-logo

migrations: .venv/installed-dev
	@$(BIN)/python manage.py makemigrations --check --dry-run --skip-checks

schema-check: .venv/installed-dev
	@$(BIN)/python manage.py openapi --check

# Django's own checks of a configuration for production, with nothing to warn of: everything that README says to set.
CHECK_KEYS := var/check/signing_key_1.pem var/check/signing_key_2.pem
$(CHECK_KEYS): | .venv/installed-dev
	@$(BIN)/python manage.py signingkey $@ >/dev/null
empty :=
comma := ,
deploy-check: $(CHECK_KEYS)
	@UNIFIED_DEVELOPMENT=0 DEBUG=0 SECRET_KEY=a-key-for-the-checks-that-signs-nothing-0123456789abcdefghij ALLOWED_HOSTS=unified.example \
		UNIFIED_URL=https://unified.example DATABASE_URL=postgres://localhost/unified BEHIND_TLS_PROXY=1 \
		OIDC_SIGNING_KEYS=$(subst $(empty) ,$(comma),$(strip $(CHECK_KEYS))) \
		$(BIN)/python manage.py check --deploy --fail-level WARNING >/dev/null

schema: .venv/installed-dev ## Write docs/openapi.yaml anew from the code
	@$(BIN)/python manage.py openapi

lock: .venv/installed-dev ## Pin all requirements*.txt anew from their .in (newest versions)
	@$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt requirements.in
	@$(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements-dev.txt requirements-dev.in
	@$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file bench/requirements.txt bench/requirements.in
	@$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --constraint requirements-dev.txt --output-file examples/requirements.txt examples/requirements.in

manage: .venv/installed ## Any command of manage.py: make manage ARGS="appkey list"
	@$(BIN)/python manage.py $(ARGS)

shell: .venv/installed ## Django shell on the service's database
	@$(BIN)/python manage.py shell

verify: .venv/installed ## Prove that the books and the storage counters are right
	@$(BIN)/python manage.py verify_ledger

sweep: .venv/installed ## Tidy up: what has expired, plans' monthly credits, old idempotency keys
	@$(BIN)/python manage.py sweep

fuzz: .venv/installed-dev ## Random credit operations against a model, for SECONDS=600 (or one run with SEED=…)
	@LOG_LEVEL=ERROR UNIFIED_FUZZ_SECONDS=$(or $(SECONDS),600) UNIFIED_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -s tests/credits/test_state_machine.py

soak: .venv/installed-dev ## Threads, killed connections and retries on few accounts, for SECONDS=600
	@LOG_LEVEL=ERROR UNIFIED_BANK_SECONDS=$(or $(SECONDS),600) $(BIN)/python -m pytest -s tests/concurrency/test_bank.py

CORPUS ?= ../shared/corpus
bench-images: .venv/installed-bench ## Sizes, likeness and times of kept pictures, on the PNGs in CORPUS=…
	@$(BIN)/python bench/images.py $(CORPUS)

bench-dashboard: .venv/installed ## Times and queries of the staff's pages with 10,000 people and 1,000,000 entries
	@$(BIN)/python bench/dashboard.py

screenshots: .venv/installed-dev ## Pictures of a person's own pages, for docs/pages.md and in var/screenshots/, and how fast they are
	@$(BIN)/python bench/screenshots.py

clean: ## Remove the virtual environment and caches (keeps the data in var/)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made:
	@command -v $(PYTHON) >/dev/null || { echo "Unified needs Python 3.11 or newer, and '$(PYTHON)' was not found: install it, or name it with 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Unified needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1): name a newer one with 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' cannot make virtual environments: install the python3-venv package (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Making the virtual environment .venv"
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/installed: requirements.txt | .venv/made
	@echo "Installing the service's packages (a minute or so, the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "Installing the packages that checks and tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/installed-bench: bench/requirements.txt .venv/installed
	@echo "Installing the packages that measuring needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

.venv/installed-examples: examples/requirements.txt .venv/installed
	@echo "Installing the packages that the example apps need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r examples/requirements.txt
	@touch $@
