# make demo: from nothing to a trained, evaluated and exported model. make test: everything that CI checks.
BUILD := build/release
JOBS ?= 2

.PHONY: all wheel deb setup setup-test setup-lint configure build demo test test-cpp test-python test-python-v1 check lint lint-all asan tsan docs format clean

all: build

setup:
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh test

setup-lint:
	@scripts/setup.sh lint

configure: setup
	@[ -f $(BUILD)/build.ninja ] || cmake --preset release -DMOX_BUILD_PYTHON=ON $(CMAKE_FLAGS)

# One build at a time; the Python extension is part of it, so that the tests need no second build.
build: configure
	@ninja -C $(BUILD) -j $(JOBS)

demo: configure
	@ninja -C $(BUILD) -j $(JOBS) mox mox_commands
	@scripts/demo.sh

# Binaries for other systems, in dist/: build/portable is compiled once for both.
wheel deb: setup
	@JOBS=$(JOBS) CMAKE_FLAGS="$(CMAKE_FLAGS)" packaging/build.sh
	@packaging/$@$(if $(filter wheel,$@),.py,.sh) build/portable dist

test: setup-test build check test-cpp test-python test-python-v1

test-cpp:
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error

test-python:
	@PYTHONPATH=$(BUILD)/python .venv/bin/python -m pytest -q python/tests tests

# Once more as scripts that call tf.disable_v2_behavior().
test-python-v1:
	@MOX_TESTS_WITHOUT_V2=1 PYTHONPATH=$(BUILD)/python .venv/bin/python -m pytest -q python/tests --ignore=python/tests/v1

check:
	@scripts/check.sh

# clang-tidy on what differs from the upstream (lint-all: on all but the tests), ruff on all Python.
lint: setup-lint configure
	@JOBS=$(JOBS) scripts/lint.py

lint-all: setup-lint configure
	@JOBS=$(JOBS) scripts/lint.py --all

# The tests that run under sanitizers, each in a build tree of its own.
asan tsan: setup-test
	@JOBS=$(JOBS) scripts/sanitize.sh $@

# The site of docs/, in build/docs/site.
docs: configure
	@ninja -C $(BUILD) -j $(JOBS) mox mox_commands mox_extensions
	@scripts/docs.sh

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
