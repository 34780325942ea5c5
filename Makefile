PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: audit blood demo docs picture test lint format clean

# The network is used by pip alone; everything else comes with the repository.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("scprism needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group test
	touch $@

$(VENV)/.linted: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group lint
	touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/scprism demo --out demo --force

# The picture of the README and of the site's first page.
picture: demo
	$(BIN)/python scripts/picture.py demo docs/images/demo.png

# The site, into site/; its tutorials are run, which takes some minutes. EXECUTE_TUTORIALS=false leaves that out.
docs: $(VENV)/.documented
	$(BIN)/python -m mkdocs build --strict

# What docs/audit.md says, from the data of DATA, by two processes; it goes on where it was interrupted.
DATA ?= ../shared/data
audit: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[tune,integrate]"
	$(BIN)/scprism reproduce --data $(DATA) --out build/audit --jobs 2
	mkdir -p docs/audit
	cp build/audit/audit.md docs/audit.md
	cp build/audit/audit/*.png docs/audit/

# The model of resting human blood that comes with the package; some minutes.
blood: $(VENV)/.installed
	$(BIN)/python scripts/train_blood.py --data $(DATA) --out src/scprism/data/models/blood.zip

test: $(VENV)/.tested
	$(BIN)/python -m pytest -q -n 2

lint: $(VENV)/.linted
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.linted
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo dist build site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
