# make run:  the proxy in the foreground, on port 3128, with its data in ./var/
# make test: everything that must pass: lint, types, and all tests
# Both make .venv first, and install no system package.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
TESTS := $(VENV)/.tests
# pip of the environment, or, where Python cannot put one there, the system's.
PIP = $(if $(wildcard $(BIN)/pip),$(BIN)/pip,$(PYTHON) -m pip --python $(BIN)/python)
PORT := 3128

.PHONY: run test lint types trial install clean

run: $(RUNS)
	@address=$$(hostname -I 2>/dev/null | cut -d' ' -f1); address=$${address:-127.0.0.1}; \
	echo "registryproxy will listen on port $(PORT). Point a Docker host (Linux, systemd) at it:"; \
	echo "    curl -fsS http://$$address:$(PORT)/setup/systemd | sudo sh"; \
	echo "or any client by hand: HTTPS_PROXY=http://$$address:$(PORT)/ and trust http://$$address:$(PORT)/ca.crt"
	@mkdir -p var
	@CACHE_DIR=$${CACHE_DIR:-$(CURDIR)/var/cache} CA_DIR=$${CA_DIR:-$(CURDIR)/var/ca} \
		exec $(BIN)/twistd --nodaemon --pidfile= registryproxy

test: lint types trial

lint: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TESTS)
	$(BIN)/mypy

# Skips are printed with their reasons, and counted, by trial itself.
trial: $(TESTS)
	$(BIN)/python -m twisted.trial --temp-directory .cache/trial tests

$(RUNS): setup.cfg pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "registryproxy needs Python 3.11 or newer; name it: make PYTHON=python3.11" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
		$(PYTHON) -m pip --version >/dev/null 2>&1 && $(PYTHON) -m venv --without-pip $(VENV); } || \
		{ rm -rf $(VENV); echo "$(PYTHON) can make no virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(MAKE) --no-print-directory install WHAT=.
	@touch $@

$(TESTS): $(RUNS)
	@$(MAKE) --no-print-directory install WHAT='.[dev]'
	@touch $@

# A make of its own, for PIP is looked up anew once the environment is there.
install:
	$(PIP) install --quiet --disable-pip-version-check --editable '$(WHAT)'

clean:
	rm -rf $(VENV) .cache build dist *.egg-info _trial_temp*
