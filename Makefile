# make run:  the proxy in the foreground, on port 3128, with its data in ./var/
# make test: everything that must pass: lint, types, and all tests
# Both make .venv first, and install no system package.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PORT := 3128

.PHONY: run test lint types trial clean

run: $(INSTALLED)
	@address=$$(hostname -I 2>/dev/null | cut -d' ' -f1); address=$${address:-127.0.0.1}; \
	echo "registryproxy will listen on port $(PORT). Point a Docker host (Linux, systemd) at it:"; \
	echo "    curl -fsS http://$$address:$(PORT)/setup/systemd | sudo sh"; \
	echo "or any client by hand: HTTPS_PROXY=http://$$address:$(PORT)/ and trust http://$$address:$(PORT)/ca.crt"
	@mkdir -p var
	@CACHE_DIR=$${CACHE_DIR:-$(CURDIR)/var/cache} CA_DIR=$${CA_DIR:-$(CURDIR)/var/ca} \
		exec $(BIN)/twistd --nodaemon --pidfile= registryproxy

test: lint types trial

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# Skips are printed with their reasons, and counted, by trial itself.
trial: $(INSTALLED)
	$(BIN)/python -m twisted.trial --temp-directory .cache/trial tests

$(INSTALLED): setup.cfg pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "registryproxy needs Python 3.11 or newer; name it: make PYTHON=python3.11" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m virtualenv -q $(VENV) 2>/dev/null || \
		{ rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) 2>/dev/null && $(PYTHON) -m pip --version >/dev/null 2>&1; } || \
		{ rm -rf $(VENV); echo "$(PYTHON) can make no virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@if [ -x $(BIN)/pip ]; then pip=$(BIN)/pip; else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
		$$pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .cache build dist *.egg-info _trial_temp*
