# make run: the series and its report.  make test: lint, unit tests, notebooks.
# PYTHON may name any interpreter from 3.11 on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
SCALING := $(addprefix scaling_,best depth digits fraction heads positions table4 tuning)
CONSTRUCTION := ranked $(addprefix ranked_,tuning parts near rule) $(addprefix construction_,study frontier)

.PHONY: run test lab site wheel sync refresh bench checkpoints seeds plateau scaling features construction explorer clean

run: $(READY)
	$(BIN)/python -m listcomp_utils run $(ARGS)

# One thread: the tests' models are small, and more threads only wait for each other.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests notebooks --nbmake --nbmake-timeout=300 $(ARGS)
	@echo "to open next: artifacts/runs/latest/index.html, which make run writes"

# What a web server can show: the report of the last run and the explorable page, in _site.
site: $(READY)
	test -f artifacts/runs/latest/index.html || $(BIN)/python -m listcomp_utils run
	rm -rf _site
	cp -R artifacts/runs/latest _site
	rm -f _site/*.ipynb
	@echo "to open next: _site/index.html"

# One file that pip installs anywhere, notebooks and checkpoints inside: dist/*.whl.
wheel: $(READY)
	rm -rf build dist
	$(BIN)/python -m pip wheel -q --no-deps -w dist .
	@echo "to install it: pip install dist/listcomp_utils-*.whl"

lab: $(READY)
	$(BIN)/jupyter lab notebooks

sync: $(READY)
	$(BIN)/python -m listcomp_utils sync

# Pictures beside the figures are drawn by Chromium or Chrome, which must be there.
refresh: $(READY)
	$(BIN)/python -c 'import kaleido' 2>/dev/null || $(BIN)/python -m pip install -q -e '.[maintain]'
	$(BIN)/python -m listcomp_utils refresh

# The explorable page, artifacts/explorer.html. ARGS="--checkpoint mine.safetensors --out mine.html"
# makes one of a model of your own.
explorer: $(READY)
	$(BIN)/python -m listcomp_utils explore $(ARGS)

bench: $(READY)
	$(BIN)/python benchmarks
	@echo "to open next: README.md, 'How fast', for what each line is measured against"

# The checkpoints that ship in artifacts/: about two minutes.
checkpoints: $(READY)
	$(BIN)/python -m listcomp_utils train -p preset seed --out artifacts
	$(BIN)/python -m listcomp_utils train -p preset study --out artifacts
	$(BIN)/python -m listcomp_utils train -p preset study -p n_layers 3 --out artifacts
	$(BIN)/python -m listcomp_utils train -p preset ranked --out artifacts

# The tables that ship in artifacts/, which notebooks read: each resumes where it was stopped.
# ARGS="--jobs 4" sets how many processes; `python -m listcomp_utils tables NAME` makes one.

# Eight seeds of each preset, measured: the study's take about a minute each.
seeds: $(READY)
	$(BIN)/python -m listcomp_utils tables seed_seeds study_seeds circuit_seeds $(ARGS)

# The study preset's recipe against its authors' over 20 seeds, and the course of three of each:
# about half an hour.
plateau: $(READY)
	$(BIN)/python -m listcomp_utils tables plateau dynamics $(ARGS)

# The grids of 07_scaling: about an hour and a half of one core.
scaling: $(READY)
	$(BIN)/python -m listcomp_utils tables $(SCALING) $(ARGS)

# The sparse autoencoders of 06_features, on the shipped study checkpoint: about eight minutes on
# two cores. `tables features_released --checkpoint released.pt` measures the same on another model.
features: $(READY)
	$(BIN)/python -m listcomp_utils tables features $(ARGS)

# The tables of 08_construction: the ranked preset's trainings, what of its start is needed, twenty
# seeds of the study preset measured, how many digits a precision carries. About an hour of one core.
construction: $(READY)
	$(BIN)/python -m listcomp_utils tables $(CONSTRUCTION) $(ARGS)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $(READY)

clean:
	rm -rf $(VENV) artifacts/runs _site build dist
