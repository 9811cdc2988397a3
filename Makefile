# Tearline. `make demo` to see it, `make check test` before you hand in, `make bench` to measure.
#
#   make demo [PORT=8100] [RESET=1]
#   make test [ARGS='tests/core -k claim']
#   make mutants [SAMPLE=200]
#   make pages [ARGS='-k counter']
#   make bench [ONLY=claims] [QUICK=1]

SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
RUN_LOCK := .venv/.installed-run
DEV_LOCK := .venv/.installed-dev
ASSETS := src/tearline/web/static/manifest.json

# Whatever the surroundings say: programs of many processes would compile everything again in each of them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test mutants pages check bench assets browser lock clean

demo: $(RUN_LOCK) assets
	@$(BIN)/tearline demo --port $(PORT) $(if $(RESET),--reset)

# What fails is tried once more by itself, and said: real servers, processes and browsers on two busy processors miss a
# moment now and then. What fails by itself, too, fails the run.
test: $(DEV_LOCK) assets browser
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS) || { status=$$?; [ $$status -eq 1 ] || exit $$status; \
		echo "Failed beside the others; once more, by itself:"; \
		$(BIN)/python -m pytest -v --last-failed --last-failed-no-failures none $(ARGS); }

# Whether the tests notice when the rules of pricing are changed; of a sample of the possible changes.
mutants: $(DEV_LOCK)
	@scripts/mutants $(SAMPLE)

# Every page in four languages, narrow and wide; the pictures lie in tests/browser/pictures.
pages: $(DEV_LOCK) assets browser
	@for views in en:1440,zh-Hant:360 zh-Hant:1440,th:360 zh-Hans:1440,en:360 th:1440,zh-Hans:360; do \
		PAGE_VIEWS=$$views $(BIN)/python -m pytest -n 2 --dist worksteal tests/browser/test_pages.py $(ARGS) || exit; \
	done

check: $(DEV_LOCK)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(DEV_LOCK) assets
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

$(RUN_LOCK): requirements.lock pyproject.toml
	@scripts/install requirements.lock $(PYTHON)
	@touch $@

$(DEV_LOCK): requirements-dev.lock pyproject.toml
	@scripts/install requirements-dev.lock $(PYTHON)
	@touch $(RUN_LOCK) $@

# Built again only when a source changed.
assets: $(ASSETS)
$(ASSETS): $(RUN_LOCK) package-lock.json $(shell find frontend src/tearline/web -name static -prune -o -type f \( -path 'frontend/*' -o -name '*.html' \) -print) $(shell find src/tearline/i18n/locales -name '*.po' 2>/dev/null)
	@scripts/assets
	@touch $@

# The tests drive a real Chromium; where there is none and apt can install it, it is installed.
browser:
	@scripts/browser

# The locks hold hashes and no addresses.
lock: $(DEV_LOCK)
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --extra rehearsal pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --extra rehearsal pyproject.toml --group dev -o requirements-dev.lock

clean:
	rm -rf .venv node_modules src/tearline/web/static src/tearline/fonts
