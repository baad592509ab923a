# Two commands: `make run` starts the demo, `make test` runs the tests. Both make what they need in .venv first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?=
TAX_RIVALS ?= .venv-rivals-tax

.PHONY: run test check observability-test dashboard-pictures drill format lock benchmark benchmark-watching benchmark-page benchmark-backtest benchmark-tax rivals-tax container-test pin-images clean

run: $(VENV)/run.stamp ## start the simulated venues and the daemon that trades on them
	$(BIN)/arbot demo $(DEMO)

test: $(VENV)/dev.stamp $(TAX_RIVALS)/made.stamp ## lint, types, architecture and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

check: $(VENV)/dev.stamp ## the quick half of `make test`
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -x tests/tidy tests/unit tests/scenario

observability-test: $(VENV)/dev.stamp ## dashboards, rules and alerts against a real Prometheus and Alertmanager; needs Debian's packages
	$(BIN)/python -m dashboards --check
	$(BIN)/pytest -n 2 tests/observability tests/integration/test_alert_rules.py tests/integration/test_alert_chain.py tests/tidy

VIEWER := tools/dashboard-viewer

dashboard-pictures: $(VENV)/dev.stamp $(VIEWER)/dist/index.html ## docs/guide/pictures/grafana-*.png anew; 650 MB of npm packages, ten minutes; needs Debian's packages and Node
	PYTHONPATH=. $(BIN)/python $(VIEWER)/picture.py $(PICTURES)

$(VIEWER)/dist/index.html: $(VIEWER)/node_modules/made.stamp $(VIEWER)/index.html $(wildcard $(VIEWER)/src/*) $(VIEWER)/vite.config.js
	cd $(VIEWER) && npm run --silent build

$(VIEWER)/node_modules/made.stamp: $(VIEWER)/package.json ## without a lock file, which would hold addresses; versions are in package.json
	cd $(VIEWER) && npm install --no-package-lock --no-audit --no-fund
	touch $@

drill: $(VENV)/run.stamp ## trip every limit once on the pretend venues; some minutes
	$(BIN)/arbot drill

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/dev.stamp ## raw bytes to decision, beside ccxt.pro in the same run
	$(BIN)/python benchmarks/tick_to_decision.py

benchmark-watching: $(VENV)/dev.stamp ## what a scrape and the live page cost at 20 venues with 50 instruments each
	$(BIN)/python benchmarks/watching.py $(BENCHMARK)

benchmark-page: $(VENV)/dev.stamp ## what that page costs a browser; needs Chromium
	$(BIN)/python benchmarks/page.py $(BENCHMARK)

RIVALS ?= .venv-rivals

benchmark-backtest: $(VENV)/dev.stamp $(RIVALS)/made.stamp ## the replay, beside hftbacktest and NautilusTrader
	$(BIN)/python benchmarks/backtest.py --rivals $(RIVALS)/bin/python $(BENCHMARK)

$(RIVALS)/made.stamp: ## apart, because their numpy is another one
	$(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/pip install --quiet --disable-pip-version-check hftbacktest==2.4.4 nautilus_trader==1.221.0
	touch $@

benchmark-tax: $(VENV)/dev.stamp $(TAX_RIVALS)/made.stamp ## from fills to a filing bundle, beside RP2 and BittyTax
	$(BIN)/python benchmarks/tax.py --rivals $(TAX_RIVALS)/bin/python $(BENCHMARK)

rivals-tax: $(TAX_RIVALS)/made.stamp

$(TAX_RIVALS)/made.stamp: requirements-rivals-tax.lock ## RP2, BittyTax and beancount: what arbot's lots are compared with
	$(PYTHON) -m venv $(TAX_RIVALS)
	$(TAX_RIVALS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-rivals-tax.lock
	touch $@

LOCK = $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --all-build-deps --no-header \
       --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: $(VENV)/dev.stamp ## make both lock files anew from pyproject.toml: versions and hashes, no address
	$(BIN)/pip install --quiet 'pip-tools>=7.6'
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra dev --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --output-file requirements-rivals-tax.lock requirements-rivals-tax.in

$(VENV)/run.stamp: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "arbot needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock requirements-sdk.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "arbot needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps -r requirements-sdk.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/run.stamp

container-test: ## build the image and run it as compose does, without Docker: podman, buildah, debootstrap; root, some minutes
	tests/container/run.sh

pin-images: ## write .env: every image pinned to the digest it has now; needs Docker or skopeo
	config/container/pin-images

clean:
	rm -rf $(VENV) $(RIVALS) $(TAX_RIVALS) $(VIEWER)/node_modules $(VIEWER)/dist build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
