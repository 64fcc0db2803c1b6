# `make demo` works in a fresh clone that has Python 3.11 or newer, `make test` with Python 3.11 to 3.13.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo serve test soak lint format figures gallery release-models notebook docs constraints clean

QUIET := --quiet
INSTALL = $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check

# The light base, the better model's weights where they can be had, and the photos of this repository.
demo:
	@begun=$$(date +%s); \
	$(MAKE) --no-print-directory QUIET= .venv/.predict && \
	{ test -n "$$CAPTIONER_ENCODER_WEIGHTS" || $(BIN)/python -m captioner download encoder || echo "Captioning with the smaller model, which needs no weights."; } && \
	$(BIN)/python predict.py photos/ && \
	echo "Done in $$(($$(date +%s) - begun)) seconds. .venv has $$(du -sm .venv | cut -f1) MB; make clean removes it."

# A page in the browser, until Ctrl-C.
serve: .venv/.serve
	@$(BIN)/python -m captioner serve

test: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Kills, full disks, broken photos, fuzzing's finds, a server under load: all that takes minutes.
soak: .venv/.dev
	$(BIN)/python -m pytest -m "slow or long" --numprocesses auto --dist loadfile --durations=0

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# All of docs/figures, in some minutes, or some of them: make figures FIGURES="tanh hello".
figures: .venv/.dev
	$(BIN)/python -m docs.figures.make $(FIGURES)

# Photos that the shipped model captions best, middling and worst, where Flickr8k and InceptionV3's weights are.
gallery: .venv/.train
	$(BIN)/python -m captioner evaluate --model saved_models/flickr8k --split dev --gallery gallery.png

# All that depends on a shipped model, after its weights changed; some need Flickr8k and InceptionV3's weights. Some parts
# alone: make release-models STEPS="calibrate-compact page". What documents get wrong, with nothing run: OPTIONS=--check.
release-models: .venv/.dev
	$(BIN)/python -m release.models $(OPTIONS) $(STEPS)

# Runs the notebook again, and keeps what it shows in its file.
notebook: .venv/.dev
	$(BIN)/python notebooks/execute.py

# The site of docs/, in build/docs; what is wrong, such as a link that leads nowhere, is an error.
docs: .venv/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open build/docs/index.html"

# Writes down what was tested together; after `make test` has passed with new versions in the requirements.
constraints: .venv/.dev .venv/.docs
	$(BIN)/python .ci/constraints.py > constraints.tmp
	mv constraints.tmp constraints.txt

.venv/bin/python:
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed, this is ' + sys.version.split()[0] + '; call make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv

.venv/.predict: .venv/bin/python constraints.txt requirements-predict.txt
	$(INSTALL) -r requirements-predict.txt
	@touch $@

.venv/.serve: .venv/bin/python constraints.txt requirements-predict.txt requirements-serve.txt
	$(INSTALL) -r requirements-serve.txt
	@touch $@

.venv/.docs: .venv/bin/python constraints.txt requirements-docs.txt
	$(INSTALL) -r requirements-docs.txt
	@touch $@

.venv/.train: .venv/bin/python constraints.txt requirements-predict.txt requirements.txt
	$(INSTALL) -r requirements.txt
	@touch $@

.venv/.dev: .venv/bin/python constraints.txt $(wildcard requirements*.txt)
	@$(BIN)/python -c "import sys; sys.version_info < (3, 14) or sys.exit('TensorFlow needs Python 3.11 to 3.13, this is ' + sys.version.split()[0] + '; remove .venv and call make PYTHON=python3.12')"
	$(INSTALL) -r requirements-dev.txt
	@touch $@ .venv/.predict .venv/.serve .venv/.train

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build
