# make demo: install, make the data, train, test and draw (about 8 minutes on 2 CPU cores)
# make test: install, run the linter and the whole test suite
# Another Python: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG := configs/quickstart/retinanet_r18_fpn_quickstart.py
WORK_DIR := work_dirs/quickstart

.PHONY: demo test lint clean

$(VENV)/runtime: setup.py requirements/runtime.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# Only wheels: an optional package that has none for this Python is not built from source.
$(VENV)/tests: $(VENV)/runtime requirements/tests.txt requirements/optional.txt
	$(BIN)/python -m pip install --quiet --requirement requirements/tests.txt
	$(BIN)/python -m pip install --quiet --only-binary :all: --requirement requirements/optional.txt
	touch $@

demo: $(VENV)/runtime
	$(BIN)/python tools/make_quickstart.py data/quickstart
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(WORK_DIR)
	$(BIN)/python tools/test.py $(CONFIG) $$(cat $(WORK_DIR)/last_checkpoint) --work-dir $(WORK_DIR)/test \
		--out $(WORK_DIR)/detections.json --show-dir $(WORK_DIR)/pictures
	@echo "Truth and detections side by side: $(WORK_DIR)/pictures"

lint: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) build *.egg-info
