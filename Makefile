# Two commands do everything: `make run` (the notebooks, end to end) and `make test`; `make` alone lists all.
PYTHON ?= python3
PROFILE ?=
PARAMS ?=
IMAGES ?=
MODEL ?=
COLLECTION ?=
REPOSITORY ?=
# Exact versions, as last tested; `make setup CONSTRAINTS=` takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt

# Processes that `make test` shares its work between: one more than two cores, as some wait; each more
# would cost the start of torch.
WORKERS ?= 3

BIN := .venv/bin
# A variable's value in quotes, whatever is in it.
quoted = '$(subst ','\'',$(value $(1)))'

.PHONY: help run test lab app server benchmark models latency evaluation feedback setup address clean

help:  ## print these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run  ## run the notebooks in order; PROFILE=demo or tutorial, PARAMS='-p query_text "a red car"'
	$(BIN)/python -m helpers $(if $(PROFILE),--profile $(PROFILE)) $(PARAMS)

test: .venv/dev  ## lint, types, unit tests, every notebook by papermill and nbval, the panel in a browser; WORKERS=3
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lab: .venv/run  ## open JupyterLab on the notebooks; .jupyter makes it keep widgets' state
	JUPYTER_CONFIG_PATH="$$PWD/.jupyter" $(BIN)/python -m jupyterlab --notebook-dir=. notebooks/01_setup.ipynb

app: .venv/run  ## serve the search panel as a page, on this machine, by a link; COLLECTION=photos, MODEL=name
	$(BIN)/python -m helpers.app $(if $(PROFILE),--profile $(PROFILE)) $(if $(value COLLECTION),--collection=$(call quoted,COLLECTION)) $(if $(value MODEL),--model=$(call quoted,MODEL)) $(PARAMS)

server: .venv/server  ## run a real Milvus server on this machine (Linux, x86-64); PARAMS='--port 19530'
	$(BIN)/python -m tests.support.server $(PARAMS)

benchmark: .venv/dev  ## compare ways to encode images; IMAGES=folder, MODEL=name (default: drawings, random weights)
	$(BIN)/python -m tests.benchmarks.benchmark $(if $(value IMAGES),--images $(call quoted,IMAGES)) $(if $(value MODEL),--model $(call quoted,MODEL))

models: .venv/dev  ## compare the models of the README's table with open_clip, with random weights; IMAGES=folder, ALONE=yes
	$(BIN)/python -m tests.benchmarks.models $(if $(value IMAGES),--images $(call quoted,IMAGES)) $(if $(ALONE),--alone)

latency: .venv/dev  ## from Enter to pictures: time the search panel in a browser
	$(BIN)/python -m tests.benchmarks.latency

evaluation: .venv/dev  ## evaluate 50,000 random vectors: seconds and memory; then the hard questions, the worst in runs/
	$(BIN)/python -m tests.benchmarks.evaluation
	$(BIN)/python -m tests.benchmarks.questions --sheets runs/questions

feedback: .venv/dev  ## what thumbs up and down are worth, by a simulated person and the demo's drawings
	$(BIN)/python -m tests.benchmarks.feedback

setup: .venv/dev  ## only install all of it, into .venv; PYTHON=python3.12, CONSTRAINTS= for the newest libraries

# Extras of pyproject.toml, each installed by the first command that needs it; `dev` holds the others.
# Python compiles what it imports: to compile all of it would take a minute and 0.4 GB more.
.venv/run .venv/server .venv/dev: .venv/%: pyproject.toml $(wildcard constraints.txt) | .venv/bin/pip
	$(BIN)/python -m pip install $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e ".[$*]"
	@touch $(if $(filter dev,$*),.venv/run .venv/server) $@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed, this is %d.%d: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv .venv

address:  ## write the repository's address wherever it stands; REPOSITORY=https://github.com/owner/name
	@$(PYTHON) .github/address.py '$(REPOSITORY)'

clean:  ## remove what was installed and run; data/ stays
	rm -rf .venv runs
