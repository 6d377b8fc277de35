# The commands of everyday work; `make help` lists them. The work itself is in scripts/ and CMakeLists.txt.

SHELL := /bin/bash
PREFIX ?= /usr/local
JOBS ?= $(shell scripts/jobs.sh)
RUN ?= runs/demo
ROUNDS ?= 5
CUDA ?= 0
export CALOR_CUDA := $(CUDA)

cmake_options := $(if $(filter 1,$(CUDA)),-DCALOR_CUDA=ON,-DCALOR_CUDA=OFF)

.PHONY: help setup build demo test format format-check tidy asan bench bench-programs install clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  CUDA=1 with any of them asks for the CUDA build of LibTorch."

setup:  ## install what is missing: Debian packages and LibTorch
	@echo "== setup"
	@scripts/setup.sh

build: setup  ## build the program, build/calor, and the tests
	@echo "== build"
	@cmake --preset release $(cmake_options) >/dev/null
	@cmake --build build -j $(JOBS)

demo: build  ## train HDFM on the embedded glyphs for a few minutes and draw samples
	@echo "== train: preset hdfm-glyphs, run folder $(RUN) (the same command again resumes)"
	@build/calor train hdfm-glyphs --run $(RUN)
	@echo "== sample"
	@build/calor sample $(RUN) --out $(RUN)/samples.png
	@echo "The pictures that this machine has learned to draw: $(abspath $(RUN)/samples.png)"

test: build  ## build and run all tests
	@echo "== test"
	@ctest --test-dir build --output-on-failure -j $(JOBS)

format: developer-tools  ## format every C++ file
	@scripts/format.sh

format-check: developer-tools  ## fail where a file is not formatted
	@scripts/format.sh --check

tidy: developer-tools  ## run clang-tidy; FILES="a.cpp b.cpp" for some files only
	@echo "== tidy"
	@scripts/tidy.sh $(FILES)

asan: setup  ## build with AddressSanitizer and UBSan and run the fast tests
	@echo "== asan: build"
	@cmake --preset asan >/dev/null
	@cmake --build build/asan -j $(JOBS)
	@echo "== asan: fast tests"
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS) -LE slow

bench-programs: build  ## build the bench programs into build/bench/
	@echo "== bench programs"
	@cmake --build build -j $(JOBS) --target bench

bench: bench-programs  ## compare with PyTorch on this machine: one table, some forty minutes; ROUNDS=5
	@echo "== bench"
	@bench/table.sh $(ROUNDS)

install: build  ## install the program and the library; PREFIX=/usr/local
	@echo "== install into $(PREFIX)"
	@cmake --install build --prefix $(PREFIX) >/dev/null
	@echo "Installed $(PREFIX)/bin/calor, and the library for find_package(calor)."

clean:  ## remove everything that was built
	rm -rf build

.PHONY: developer-tools
developer-tools:
	@scripts/setup.sh --developer
