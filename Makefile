# make demo: from nothing to a trained, evaluated and exported model. make test: everything that CI checks.
BUILD := build/release
JOBS ?= 2

.PHONY: all setup setup-test build demo test test-cpp test-python check format clean

all: build

setup:
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh test

# One build at a time; the Python extension is part of it, so that the tests need no second build.
build: setup
	@[ -f $(BUILD)/build.ninja ] || cmake --preset release -DMOX_BUILD_PYTHON=ON
	@ninja -C $(BUILD) -j $(JOBS)

demo: setup
	@[ -f $(BUILD)/build.ninja ] || cmake --preset release -DMOX_BUILD_PYTHON=ON
	@ninja -C $(BUILD) -j $(JOBS) mox mox_commands
	@scripts/demo.sh

test: setup-test build check test-cpp test-python

test-cpp:
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error

test-python:
	@PYTHONPATH=$(BUILD)/python .venv/bin/python -m pytest -q python/tests tests

check:
	@scripts/check.sh

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
