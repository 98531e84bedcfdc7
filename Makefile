# Two commands do everything on a bare machine with Python >= 3.11 and a package index:
#   make demo    the main job on sample photos
#   make test    the tests
# `make help` lists the rest.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
DATA ?= $(or $(FACELABEL_TEST_DATA),../shared/data)
SOURCES := pyproject.toml README.md LICENSE $(shell find src -type f -not -name '*.pyc')
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN ?= requirements/run.txt
DEV ?= requirements/dev.txt
# Whoever has nothing left to do takes tests from another: no file is the last one on a core.
ACROSS := -n auto --maxprocesses 6 --dist worksteal
# Seconds after which a test is ended, with its name and the stacks of all threads.
export PYTEST_TIMEOUT ?= 900

.PHONY: help demo test test-busy test-all suites coverage mutants check format lint types imports soak \
	compat bench bench-before walk docs transcripts lock structure release clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

demo: $(VENV)/facelabel ## Learn two faces, find them on other pictures; PORTRAITS=dir PHOTOS=dir for your own.
	@env -u CLOUDINARY_URL $(BIN)/facelabel demo \
		$(if $(PORTRAITS),--portraits "$(PORTRAITS)") $(if $(PHOTOS),--photos "$(PHOTOS)")

test: $(VENV)/facelabel $(VENV)/dev ## Run the tests, on all cores (six at a time).
	$(BIN)/python -m pytest $(ACROSS)

test-busy: $(VENV)/facelabel $(VENV)/dev ## Run the tests three times beside eight busy programs.
	$(BIN)/python scripts/busy.py --beside 8 --times 3 $(MAKE) --no-print-directory test

test-all: $(VENV)/python ## Run unit and contract tests on every Python, and with the lowest versions.
	$(BIN)/python scripts/every_python.py

suites: $(VENV)/facelabel $(VENV)/dev
	$(BIN)/python -m pytest $(ACROSS) tests/unit tests/contract

coverage: $(VENV)/facelabel $(VENV)/dev ## Run the tests and say which branches they take.
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ACROSS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutants: $(VENV)/facelabel $(VENV)/mutants ## Plant faults into the core and see whether the tests notice.
	$(BIN)/python scripts/mutants.py

check: format lint types imports test ## Everything CI runs: format, lint, types, import rules, tests.

format: $(VENV)/dev
	$(BIN)/ruff format --check .

lint: $(VENV)/dev
	$(BIN)/ruff check .

# Nobody of us has Windows: that what it has not is not used there is seen here.
types: $(VENV)/dev
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 src

imports: $(VENV)/dev
	PYTHONPATH=src $(BIN)/lint-imports

soak: $(VENV)/facelabel $(VENV)/dev ## Run what measures time, or takes long: load, kills, thousands of examples.
	PYTEST_TIMEOUT=0 $(BIN)/python -m pytest -m "soak or hypothesis" --hypothesis-profile thorough \
		-o faulthandler_timeout=0

compat: $(VENV)/facelabel $(VENV)/dev ## Run Cloudinary's own Python tests against serve; SUITE=checkout of its SDK.
	@test -n "$(SUITE)" || { echo "SUITE=path of a checkout of cloudinary/pycloudinary"; exit 1; }
	$(BIN)/python tests/compat/suite.py "$(SUITE)"

bench: $(VENV)/facelabel $(VENV)/bench ## Run the benchmarks beside other libraries; DATA=folder of labelled photos.
	$(BIN)/python benchmarks/engine.py "$(DATA)"
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/lookback.py
	$(BIN)/python benchmarks/growth.py "$(DATA)"
	$(BIN)/python benchmarks/person_score.py "$(DATA)"
	$(BIN)/python -m benchmarks.functions "$(DATA)"
	$(BIN)/python benchmarks/rekognition.py "$(DATA)"
	$(BIN)/python benchmarks/api.py "$(DATA)"

bench-before: $(VENV)/facelabel $(VENV)/bench ## The same before and after a change; BEFORE=checkout with `make .venv/bench` done, DATA=folder.
	$(BIN)/python benchmarks/before_after.py "$(BEFORE)" "$(DATA)"

walk: $(VENV)/facelabel ## Follow a newcomer's first hour and print it; PORTRAITS=dir PHOTOS=dir for more pictures.
	@$(BIN)/python scripts/walk.py \
		$(if $(PORTRAITS),--portraits "$(PORTRAITS)") $(if $(PHOTOS),--photos "$(PHOTOS)")

docs: $(VENV)/facelabel $(VENV)/dev ## Write the reference pages, outputs and pictures in the docs, from the program.
	$(BIN)/python docs/generate.py
	$(BIN)/python -m tests.documents.write

transcripts: $(VENV)/facelabel $(VENV)/dev ## Write down anew what commands print; look at the difference.
	TRANSCRIPTS=write $(BIN)/python -m pytest -q tests/e2e/test_transcripts.py

structure: $(VENV)/facelabel $(VENV)/dev ## Say how the code is built, in numbers; TREES="checkouts" side by side.
	PYTHONPATH=src $(BIN)/python scripts/structure.py $(TREES)

# uv keeps the versions that a file has: the lowest ones are looked for anew.
lock: | $(VENV)/python ## Resolve the dependencies anew (needs uv).
	rm -f $(VENV)/lowest.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		--group build --output-file requirements/run.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		--group build --group dev --extra openvino --extra plot --extra postgresql --constraint requirements/run.txt --output-file requirements/dev.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --resolution lowest-direct --no-header --quiet \
		--group build --all-extras --output-file $(VENV)/lowest.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		--group build --group test --all-extras --constraint $(VENV)/lowest.txt --output-file requirements/lowest.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		--group mutants --constraint requirements/dev.txt --output-file requirements/mutants.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
		--group release --constraint requirements/dev.txt --output-file requirements/release.txt
	uv pip compile deploy/aws/requirements.in --universal --python-version 3.13 --generate-hashes --no-header --quiet \
		--constraint requirements/run.txt --output-file deploy/aws/requirements.txt
	uv pip compile deploy/aws/container/requirements.in --universal --python-version 3.13 --generate-hashes --no-header --quiet \
		--constraint requirements/run.txt --constraint deploy/aws/requirements.txt --output-file deploy/aws/container/requirements.txt

release: $(VENV)/release ## Set the version, build what is to be published, and try it; VERSION=1.2.3.
	@test -n "$(VERSION)" || { echo "VERSION=the new one, as 1.2.3; CHANGELOG.md says which was the last"; exit 1; }
	@$(BIN)/python scripts/release.py "$(VERSION)"

clean: ## Remove the virtual environment and everything built.
	rm -rf $(VENV) .venv-* .coverage* build dist demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/python:
	@test -n "$(PYTHON)" || { echo "Facelabel needs Python 3.11 or newer"; exit 1; }
	@echo "making a virtual environment with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(RUN) | $(VENV)/python
	@echo "installing what Facelabel needs"
	@$(PIP) install --require-hashes --no-deps -r $<
	@touch $@

$(VENV)/dev: $(DEV) | $(VENV)/run
	@echo "installing what the tests need"
	@$(PIP) install --require-hashes --no-deps -r $<
	@touch $@

$(VENV)/mutants: requirements/mutants.txt | $(VENV)/dev
	@$(PIP) install --require-hashes --no-deps -r $<
	@touch $@

$(VENV)/release: requirements/release.txt | $(VENV)/run
	@$(PIP) install --require-hashes --no-deps -r $<
	@touch $@

$(VENV)/bench: benchmarks/requirements.txt | $(VENV)/dev
	@$(PIP) install -r $<
	@$(PIP) install --no-deps face_recognition==1.3.0 face_recognition_models==0.3.0
	@touch $@

# A real wheel, not a link to src: what is missing in the wheel is missing in the tests.
$(VENV)/facelabel: $(SOURCES) $(VENV)/run
	@$(PIP) install --no-deps --no-build-isolation --force-reinstall .
	@touch $@
