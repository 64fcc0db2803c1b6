# `make demo` and `make test` work in a fresh clone that has Python 3.11 to 3.13.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo serve test soak lint format figures gallery notebook clean

# Those photos of scikit-image that lie near what Flickr8k shows; the commands of the documents name these copies.
PHOTOS := photos/astronaut.png photos/camera.png photos/chelsea.png photos/motorcycle_left.png

demo: $(PHOTOS)
	@$(BIN)/python predict.py $(PHOTOS)

$(PHOTOS): .venv/.demo
	@mkdir -p photos
	@cp "$$($(BIN)/python -c 'import skimage, pathlib; print(pathlib.Path(skimage.__file__).parent / "data")')/$(@F)" $@

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
figures: .venv/.demo
	$(BIN)/python -m docs.figures.make $(FIGURES)

# Photos that the shipped model captions best, middling and worst, where Flickr8k and InceptionV3's weights are.
gallery: .venv/.demo
	$(BIN)/python -m captioner evaluate --model saved_models/flickr8k --split dev --gallery gallery.png

# Runs the notebook again, and keeps what it shows in its file.
notebook: .venv/.dev
	$(BIN)/python notebooks/execute.py

.venv/bin/python:
	@$(PYTHON) -c "import sys; ok = (3, 11) <= sys.version_info < (3, 14); ok or sys.exit('Python 3.11 to 3.13 is needed, this is ' + sys.version.split()[0] + '; call make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python requirements.txt requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-demo.txt
	@touch $@

.venv/.serve: .venv/bin/python requirements.txt requirements-serve.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-serve.txt
	@touch $@

.venv/.dev: .venv/bin/python requirements.txt requirements-demo.txt requirements-serve.txt requirements-cluster.txt requirements-heif.txt requirements-notebook.txt requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/.demo .venv/.serve

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
