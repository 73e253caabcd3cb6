# What there is to say to Casewright. Each target sets up what it needs by itself: Python 3.11+, git and make will do.

VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-ready
DEV     := $(VENV)/.dev-ready
PACKAGES := sop case_store notifiers flows console
# Words passed on to the command, e.g.  make demo ARGS=--once   make test ARGS="-k outbox"
ARGS    ?=
# As many tests at once as there are processors, eight at most; make test AT_ONCE=0 runs one after the other.
AT_ONCE ?= logical

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock bench faults clean

help:           ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV)   ## make .venv with everything that work on Casewright needs

# The stamps are re-made when a lock or the project's own metadata changes, and only then.
$(DEV): requirements/requirements-dev.txt pyproject.toml
	@requirements/setup.sh requirements/requirements-dev.txt
	@touch $(DEV) $(RUNTIME)

$(RUNTIME): requirements/requirements.txt pyproject.toml
	@requirements/setup.sh requirements/requirements.txt
	@touch $(RUNTIME)

demo: $(RUNTIME) ## start everything, let an alert become a case; ARGS=--once answers the tasks itself and ends
	@$(BIN)/casewright demo $(ARGS)

test: $(DEV)    ## run the tests; ARGS goes to pytest
	@$(BIN)/python -m pytest --numprocesses=$(AT_ONCE) --maxprocesses=8 --dist=loadgroup $(ARGS)

check: $(DEV)   ## ruff, mypy, import contracts, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

format: $(DEV)  ## put the code into shape and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(DEV)    ## write requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@requirements/lock.sh $(ARGS)

bench: $(DEV)   ## measure; BENCH=waiting for one of them, ARGS goes to it
	@for name in $(or $(BENCH),$(sort $(patsubst bench/%.py,%,$(wildcard bench/[a-z]*.py)))); do \
		$(BIN)/python -m bench.$$name $(ARGS) || exit 1; \
	done

faults: $(DEV)  ## the long fault tests: kills, outages, lost databases, bundles that were tampered with
	@$(BIN)/python -m pytest tests/faults tests/store/test_tampering.py tests/store/test_clean_exports.py \
		tests/store/test_audit_inspection.py tests/store/test_as_application.py tests/store/test_link_proof.py \
		tests/store/test_ninety_days.py tests/flows/test_following.py -m "slow or not slow" $(ARGS)

clean:          ## remove .venv, caches and builds; keeps ./var, where the cases are
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(PACKAGES) tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
