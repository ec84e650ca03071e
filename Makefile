# Thin commands over the CMake presets (CMakePresets.json). `make help` lists them.
SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 600
DAY_SECONDS ?= 86400
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run test lab day bench lint format docs install fuzz clean dependencies

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

dependencies: ## Install what building needs (Debian packages).
	@tools/dependencies.sh build

build: dependencies ## Build the release binary: build/release/roost.
	@tools/build.sh release roost

run: build ## Build and start the server. ARGS="--set http.https_port=9443" adds options.
	@exec build/release/roost $(ARGS)

test: ## Run every test; ends with "N passed, N failed".
	@tools/run_tests.sh

lab: ## Calls between networks of every kind (needs root); the tables go to docs/.
	@ROOST_LAB=full ROOST_LAB_TABLE=$(CURDIR)/docs/turn.md tools/run_tests.sh lab

day: ## A call of DAY_SECONDS (86400) at its full rate, in virtual time (some minutes).
	@tools/dependencies.sh build test
	@tools/build.sh debug sim_room_day
	@ROOST_SIM_SECONDS=$(DAY_SECONDS) build/debug/sim_room_day

bench: build ## Measure: the load generator against a server of its own.
	@bench/run.sh

lint: ## clang-tidy over src/, and the checks of layers, purity and globals.
	@tools/dependencies.sh build test
	@tools/lint.sh

format: ## Format all C sources in place.
	@tools/dependencies.sh test
	@tools/format.sh --write

docs: build ## Write anew what the tables say: configuration, manual page, protocol.
	@python3 -B tools/generate_schema.py src/signal/native/schema --docs docs/protocol.md \
	    --typescript web/sdk/protocol.d.ts
	@build/release/roost config --format sample > config/roost.conf.sample
	@build/release/roost config --format man > packaging/roost.1
	@build/release/roost config --format markdown > docs/configuration.md

install: build ## Install under DESTDIR and PREFIX: binary, manual, unit, sample configuration.
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

fuzz: ## Fuzz every target for FUZZ_SECONDS (600) each; TARGET=fuzz_stun takes one.
	@tools/dependencies.sh build test
	@tools/fuzz.sh --seconds $(FUZZ_SECONDS) $(TARGET)

clean: ## Remove what was built.
	@rm -rf build
