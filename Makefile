# Two commands need nothing but Python 3.11+, make and the network: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS = never
# Commands start in half the time, also where Python is told not to write byte code itself.
export UV_COMPILE_BYTECODE = 1
unexport PYTHONDONTWRITEBYTECODE
# uv would otherwise warn about, or use, an environment that happens to be active.
unexport VIRTUAL_ENV

.PHONY: demo test test-both check format generate bench attack audit sbom install clean

demo: $(VENV)/.installed
	@$(RUN)/token-health demo

# One after the other as they are collected, each to the worker that is free: acceptance tests, which are long and
# mostly wait, begin, and the many short ones fill the end. In chunks, one worker would keep the long ones for the end.
test: $(VENV)/.installed-dev
	$(RUN)/pytest -n auto --dist load --maxschedchunk 1 --durations 30

# Some tests take a database by turns (tests/turns.py); here they take both.
test-both: $(VENV)/.installed-dev
	DATABASES=both $(RUN)/pytest -n auto --dist load --maxschedchunk 1

check: $(VENV)/.installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	cd clients/python && ../../$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/deptry .

format: $(VENV)/.installed-dev
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

# The files that Prometheus, Alertmanager and Grafana load, docs/metrics.md, docs/api.md, docs/openapi.json, and the
# catalogue of the console's words; tests prove them current.
generate: $(VENV)/.installed-dev
	$(RUN)/python -m alerts.rules.build
	$(RUN)/python -m dashboards.build
	$(RUN)/python -m monitor.web.api.reference
	$(RUN)/python -m tests.providers.document
	$(RUN)/python -m monitor.web.console.extract

bench: $(VENV)/.installed-dev
	$(RUN)/python -m tests.bench

# Known holes of what uv.lock names, by the OSV database; where that cannot be reached, it says so and ends well.
audit: $(VENV)/.installed-dev
	@.ci/audit

# Everything that is installed with the service, as CycloneDX.
sbom: $(UV)
	@mkdir -p dist
	@$(UV) export --quiet --frozen --no-dev --all-extras --format cyclonedx1.5 --output-file dist/sbom.cdx.json >/dev/null
	@echo "dist/sbom.cdx.json"

# Strangers at every door, for minutes: the fuzzers with thousands of examples each, then a siege of the service.
attack: $(VENV)/.installed-dev
	ATTACK=long $(RUN)/pytest -n auto tests/attack tests/integration/test_overlap.py -k "not promises"
	$(RUN)/python -m tests.attack 120

install: $(VENV)/.installed-dev

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13.9,<0.14"

# --inexact keeps uv itself, which lives in the same environment.
$(VENV)/.installed: uv.lock pyproject.toml | $(UV)
	$(UV) sync --quiet --frozen --inexact --no-dev --extra demo
	@touch $@

$(VENV)/.installed-dev: uv.lock pyproject.toml | $(UV)
	$(UV) sync --quiet --frozen --inexact --all-extras
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
