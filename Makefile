# The commands of the project; `make` lists them.

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
STAMP := .venv/.installed
CLIENT_BIN := .local/client-venv/bin
SCORING := domain/**,activities/score_*,activities/retrieve_*,activities/blend_*,activities/adapters/**

.DEFAULT_GOAL := help
.PHONY: help install weaviate promtool up demo reset test test-faults test-load histories bench bench-api bench-search bench-recommending bench-copies bench-webhooks bench-fairness bench-scale capacity soak evaluate evaluate-recommendations lint format \
	check-deploy lock openapi openapi-check client migration-check seed vendor browser pictures messages ci

help: ## list the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install everything (PYTHON=python3.12, TORCH_INDEX=<url>)

$(STAMP): pyproject.toml constraints.txt deploy/local/install.sh
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" GOAL="$(firstword $(MAKECMDGOALS))" bash deploy/local/install.sh
	@touch $@

weaviate: $(STAMP) ## install the Weaviate server, unless WEAVIATE_URL names one
	@$(BIN)/python -m deploy.local.install_weaviate

promtool: ## install promtool, which checks the alerts
	@bash deploy/local/install_promtool.sh

# exec, so that a signal to make reaches the stack instead of a shell
up: $(STAMP) ## run the whole stack until Ctrl-C (DEMO=on: with the demo's learners)
	@exec $(BIN)/python -m deploy.local up

demo: $(STAMP) ## run the stack, take one student through an assessment, and add 24 learners
	@exec $(BIN)/python -m deploy.local demo

reset: $(STAMP) ## delete the stack's data in .local
	@exec $(BIN)/python -m deploy.local reset

test: $(STAMP) ## run the tests with coverage floors (FILE=tests/api: one file or folder, without floors)
ifdef FILE
	@$(BIN)/python -m pytest -q -m "not load" $(FILE)
else
	@$(BIN)/python -m pytest -n 2 -o faulthandler_timeout=600 -m "not faults and not load" --cov --cov-fail-under=85
	@mkdir -p .local/reports
	@$(BIN)/python -m coverage report --include="$(SCORING)" --fail-under=90 > .local/reports/scoring-coverage.txt || \
		{ cat .local/reports/scoring-coverage.txt; echo "Coverage of scoring and recommending is below 90 %: add tests for the lines above."; exit 1; }
endif

test-faults: $(STAMP) ## run the tests that kill processes and servers or need the whole stack
	@$(BIN)/python -m pytest -n 2 --dist loadfile -o faulthandler_timeout=1200 -m faults tests/faults

test-load: $(STAMP) ## run the tests that take minutes
	@$(BIN)/python -m pytest -m load

histories: $(STAMP) ## record the workflow histories of all branches (tests/replay)
	@exec $(BIN)/python -m tests.replay.export

bench: $(STAMP) ## measure the pipeline against an empty workflow
	@exec $(BIN)/python -m tests.benchmarks.bench

bench-api: $(STAMP) ## measure the API against a bare endpoint (N=, CONCURRENCY=)
	@exec $(BIN)/python -m tests.benchmarks.api

bench-search: $(STAMP) ## measure both stores on a large catalogue (N=, QUERIES=, TEXTS=)
	@exec $(BIN)/python -m tests.benchmarks.search

bench-recommending: $(STAMP) ## measure search and ranking with many earlier learners (N=, LEARNERS=, STORE=)
	@exec $(BIN)/python -m tests.benchmarks.recommending

bench-copies: $(STAMP) ## measure the search for copies among many earlier answers (N=, REQUESTS=)
	@exec $(BIN)/python -m tests.benchmarks.copies

bench-webhooks: $(STAMP) ## measure deliveries against plain requests, and with failing partners
	@exec $(BIN)/python -m tests.benchmarks.webhooks

bench-fairness: $(STAMP) ## measure one submission while another organization submits many (N=, SAMPLES=)
	@exec $(BIN)/python -m tests.benchmarks.fairness

bench-scale: $(STAMP) ## measure the pipeline, lists and sweeps on a large database (OPEN=, FINISHED=)
	@exec $(BIN)/python -m tests.benchmarks.scale

capacity: $(STAMP) ## compute what 1,000,000 assessments a day need, from the reports of the benchmarks
	@exec $(BIN)/python -m tests.benchmarks.capacity

soak: $(STAMP) ## run the stack near its capacity and look for leaks (MINUTES=20 SHARE=0.8)
	@exec $(BIN)/python -m tests.load.soak --minutes $(or $(MINUTES),20) --share $(or $(SHARE),0.8)

evaluate: $(STAMP) ## measure a grader on labelled answers (DATA=, GRADER=, K=, SPLITS=, BASELINE=update)
	@exec $(BIN)/python -m tests.evaluation.evaluate

evaluate-recommendations: $(STAMP) ## measure search and recommendations on CSV files (DATA=, STORE=)
	@exec $(BIN)/python -m tests.evaluation.recommendations

vendor: ## fetch the scripts of other projects that the web pages use (needs npm)
	@bash deploy/local/vendor.sh pages

browser: ## fetch what the tests of the web pages need: Debian's Chromium, and axe-core (needs npm)
	@command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium
	@test -f .local/vendor/axe.min.js || bash deploy/local/vendor.sh tests

pictures: $(STAMP) ## make the pictures of the docs from the data of a running `make up DEMO=on` (needs make browser)
	@test -f .local/stack.env || { echo "No stack is running. Run make up DEMO=on first."; exit 1; }
	@set -a && . ./.local/stack.env && $(BIN)/python -m tests.pages.pictures

messages: $(STAMP) ## extract the texts of the web pages and merge them into their translations (ADD=fr starts a language)
	@$(BIN)/python -m deploy.local.messages $(ADD)

lint: $(STAMP) ## check style, types, the import rule and plain English
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.prose

check-deploy: .local/check-venv/.installed ## check the deployment files with the platforms' tools (needs Go)
	@bash tests/deploy/check.sh

.local/check-venv/.installed: tests/deploy/check-requirements.txt
	@$(PYTHON) -m venv .local/check-venv
	@.local/check-venv/bin/python -m pip install --disable-pip-version-check --quiet -r $<
	@GOBIN="$(CURDIR)/.local/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	@GOBIN="$(CURDIR)/.local/bin" go install sigs.k8s.io/kustomize/kustomize/v5@v5.6.0
	@touch $@

format: $(STAMP) ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## lock the packages of the image, with hashes (run it when constraints.txt changes)
	@$(PYTHON) -m venv .local/lock-venv
	@.local/lock-venv/bin/python -m pip install --disable-pip-version-check --quiet uv==0.13.9
	@PATH="$(CURDIR)/.local/lock-venv/bin:$$PATH" bash deploy/docker/lock.sh

openapi: $(STAMP) ## write docs/api/openapi.yaml
	@$(BIN)/python -m api.export_openapi

openapi-check: $(STAMP) ## fail when docs/api/openapi.yaml is out of date
	@$(BIN)/python -m api.export_openapi --check

client: $(CLIENT_BIN)/openapi-python-client ## generate a typed client into .local/client
	@mkdir -p .local/client
	@$(CLIENT_BIN)/openapi-python-client generate --overwrite --meta none --config tests/e2e/client-generator.yaml \
		--path docs/api/openapi.yaml --output-path .local/client/microcred_client

$(CLIENT_BIN)/openapi-python-client: tests/e2e/client-requirements.txt
	@$(PYTHON) -m venv .local/client-venv
	@$(CLIENT_BIN)/python -m pip install --disable-pip-version-check --quiet -r $<
	@touch $@

migration-check: $(STAMP) ## run the migrations up, compare them with the tables, run them down and up
	@$(BIN)/python -m pytest -q tests/persistence/test_migrations.py

seed: $(STAMP) ## load the content into the running stack
	@test -f .local/stack.env || { echo "No stack is running. Run make up first."; exit 1; }
	@set -a && . ./.local/stack.env && $(BIN)/python -m deploy.local.seed

ci: ## run the checks of CI
	@bash .ci/run
