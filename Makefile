# Portcullis. `make` lists the targets. They need rustup, Python 3 with pip, and (for `make test-wasm`) Node; everything
# else is fetched into .tools and target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A plugin is a folder with a module. Nothing here names a plugin.
PLUGINS := $(subst -,_,$(patsubst plugins/%/module/,%,$(sort $(wildcard plugins/*/module/))))
PACKAGES := $(subst _,-,$(PLUGINS))
MODULES := $(PLUGINS:%=dist/%.wasm)
TARGET := wasm32-wasip1

TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
WASM_BINDGEN := $(shell grep -A1 '^name = "wasm-bindgen"$$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
WASM_BINDGEN_RUNNER := .tools/wasm-bindgen-$(WASM_BINDGEN)/bin/wasm-bindgen-test-runner

# Makes modules reproducible: the same bytes, wherever they are built.
CARGO_HOME ?= $(HOME)/.cargo
REMAPPED := $(CARGO_HOME)/registry/src=/crates
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS := --remap-path-prefix=$(REMAPPED)

# The library: an Envoy on another processor needs another one (LIBRARY_TARGET=aarch64-unknown-linux-gnu, and a C compiler for
# it, such as Debian's gcc-aarch64-linux-gnu).
LIBRARY_TARGET ?=
LIBRARY_OUTPUT = $${CARGO_TARGET_DIR:-target}/$(LIBRARY_TARGET)/library/libportcullis_library.so
build-library = RUSTFLAGS='--remap-path-prefix=$(REMAPPED) --remap-path-prefix=$(CURDIR)=.' CFLAGS='-ffile-prefix-map=$(REMAPPED)' \
    cargo build --profile library --locked -p portcullis-library $(LIBRARY_TARGET:%=--target %)

# Crates without host calls. Their tests also run in Node.
PURE := portcullis-core portcullis-table $(PACKAGES:%=%-policy)

# Native programs, compiled once for all stages: see tests/run.
NATIVE := $${CARGO_TARGET_DIR:-target}/debug

# A stage that cannot run on this machine prints the reason. With REQUIRE_ALL=1, it fails.
skip = { echo '== $(1)'; [ -z "$${REQUIRE_ALL:-}" ]; }

say = @printf '\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help demo test lint build envoy test-native test-wasm test-envoy fetch test-compose test-observability soak validate bench size package schema clean toolchain test-dashboard test-one-module test-library test-memcheck test-versions test-package test-servers

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build envoy service ## Start a real Envoy with the plugins and demonstrate them (DEMO_ARGS=--once: end after the tour)
	$(call say,Demo)
	@envoy/demo $(DEMO_ARGS)

test: test-native test-wasm test-envoy validate ## Run the tests for every change

lint: toolchain ## Check formatting, spelling, clippy, docs, licences and advisories, generated files
	$(call say,Formatting and spelling)
	@cargo fmt --all --check
	@"$$(tests/get-typos)"
	$(call say,Clippy)
	@cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(call say,Docs)
	@RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --all-features --no-deps --locked
	$(call say,Licences$(comma) sources$(comma) advisories)
	@deny="$$(tests/get-cargo-deny)"; \
	"$$deny" --locked check licenses bans sources; \
	if "$$deny" fetch db > /dev/null 2>&1; then \
	    "$$deny" --locked check --disable-fetch advisories; \
	else \
	    echo 'advisories: not checked, because the RustSec database could not be reached'; \
	fi
	$(call say,Generated files)
	@$(MAKE) --no-print-directory schema
	@git diff --exit-code --stat -- '*/schema.json' || { echo 'schema.json was not current: commit what `make schema` wrote'; exit 1; }

# The modules and the library are built at once: each ends with a link that uses one core.
build: toolchain ## Build the modules and the library into dist
	$(call say,Building $(words $(PLUGINS)) modules and the library)
	@$(build-library) & library=$$!; \
	    cargo build --release --locked --target $(TARGET) $(PACKAGES:%=-p %-module) || { wait $$library; exit 1; }; \
	    wait $$library
	@mkdir -p dist
	@cargo run --quiet --locked --bin portcullis-trim -- dist $(PACKAGES:%=%-module)
	@cp "$(LIBRARY_OUTPUT)" dist/libportcullis.so.new && mv dist/libportcullis.so.new dist/libportcullis.so
	@cd dist && for file in $(PLUGINS:%=%.wasm) libportcullis.so; do sha256sum $$file > $$file.sha256; done

.PHONY: service
# The rate-limit service behind the Envoys of a fleet, for the demo and its tests. As a part of the workspace, it shares
# compiled dependencies with the tests.
service: toolchain
	@cargo build --quiet --locked --workspace --bin portcullis-ratelimit-service
	@install -D "$(NATIVE)/portcullis-ratelimit-service" .tools/ratelimit-service

envoy: ## Fetch the pinned Envoy (or use ENVOY_BIN)
	@envoy/get-envoy

test-native: toolchain ## Run unit tests, property tests, and the scenarios on the native host
	$(call say,Native tests)
	@tests/run native
	$(call say,The first test with the native host)
	@RUSTUP_TOOLCHAIN=$(TOOLCHAIN) CARGO_NET_OFFLINE=true tests/native-host/first-test

.PHONY: native
native: toolchain
	@tests/run build

fetch: toolchain envoy ## Fetch the tools that the tests need (each test also fetches its own)
	@cargo fetch --quiet --locked
	@tests/get-cargo-deny > /dev/null
	@tests/get-typos > /dev/null
	@if command -v apt-get > /dev/null; then tests/get-debian prometheus > /dev/null; tests/get-debian redis-server > /dev/null; fi
	@if command -v npm > /dev/null; then cd tests/dashboard && npm ci --silent; fi
	@if command -v node > /dev/null; then $(MAKE) --no-print-directory $(WASM_BINDGEN_RUNNER); fi

test-wasm: toolchain ## Run the policies' tests on wasm32-unknown-unknown in Node
	@if ! command -v node > /dev/null; then \
	    $(call skip,Tests in Node: skipped$(comma) because Node is not installed (Debian: apt install nodejs)); \
	else \
	    $(MAKE) --no-print-directory test-in-node; \
	fi

# These tests show that the policies behave the same on 32 bits and in WebAssembly as natively. test-native runs the same
# properties with all 256 cases each, to find rare ones. Without debug information, a module is a fifth as large, and
# most of the time is spent on reading it.
.PHONY: test-in-node
test-in-node: $(WASM_BINDGEN_RUNNER)
	$(call say,Tests in Node)
	@CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_CASES=64 \
	    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(WASM_BINDGEN_RUNNER)) \
	    cargo test $(PURE:%=-p %) --lib --tests --locked --target wasm32-unknown-unknown

test-envoy: build envoy ## Run the scenarios, and other tests, on a real Envoy
	$(call say,Tests on a real Envoy)
	@cargo rustc --quiet --release --locked --target $(TARGET) -p claims_filter --crate-type cdylib
	@cargo rustc --quiet --release --locked --target $(TARGET) -p meter_filter --crate-type cdylib
	@tests/run envoy

# The other modes of the scenarios are in test-native and test-envoy.
test-one-module: build envoy ## Run the scenarios on a real Envoy, with all plugins in one module (minutes; not part of make test)
	$(call say,Scenarios on a real Envoy$(comma) all plugins in one module)
	@cargo rustc --quiet --release --locked --target $(TARGET) -p claims_filter --crate-type cdylib
	@tests/run one-module

test-library: build envoy ## Run the tests on a real Envoy with the library (minutes; not part of make test)
	$(call say,Tests on a real Envoy with the library)
	@tests/run library

test-memcheck: build envoy ## Run Envoy with the library under valgrind (an hour; needs valgrind)
	$(call say,Envoy with the library under valgrind)
	@command -v valgrind > /dev/null || { echo 'valgrind is not installed (Debian: apt install valgrind)'; exit 1; }
	@tests/run memcheck

test-versions: build envoy ## Run the scenarios on older Envoys and the newest, with both hosts (many minutes; before a release)
	$(call say,Scenarios on several versions of Envoy)
	@cargo rustc --quiet --release --locked --target $(TARGET) -p claims_filter --crate-type cdylib
	@tests/run versions

test-compose: build envoy service ## Run the demo in containers (needs a Docker engine, or root to start one; otherwise skipped)
	@tests/compose/run

test-observability: build envoy service ## Test rules, alerts and the dashboard on a real Prometheus (installed, or from Debian; otherwise skipped)
	@tests/observability/run

test-dashboard: build envoy service ## Test the live page, and security-headers' responses, in headless Chromium (screenshots: target/dashboard)
	@if ! command -v npm > /dev/null || ! command -v chromium > /dev/null; then \
	    $(call skip,The live page and responses in a browser: skipped$(comma) because Node or Chromium is not installed (Debian: apt install npm chromium)); \
	else \
	    $(MAKE) --no-print-directory test-in-chromium; \
	fi

.PHONY: test-in-chromium
test-in-chromium:
	$(call say,The live page and responses in Chromium)
	@cd tests/dashboard && npm ci --silent && ENVOY_BIN="$$(../../envoy/get-envoy)" CHROMIUM_BIN="$$(command -v chromium)" \
	    node --test --test-reporter=spec .

test-package: package ## Pack again in another folder and compare the bytes (some minutes; not part of make test)
	$(call say,Packing in another folder)
	@tests/package/run

test-servers: build envoy ## Test that Express, Flask, Starlette and wsgiref read requests as the policies do (some minutes; not part of make test)
	$(call say,Real servers)
	@tests/servers/run

soak: build envoy ## Run a billion steps of retry-budget's ledger, and send a million keys to rate-limit (some minutes; not part of make test)
	$(call say,Soak: a ledger)
	@CARGO_PROFILE_RELEASE_LTO=off cargo test --release -p retry-budget-policy --locked --lib -- --ignored
	$(call say,Soak: a flood of keys)
	@cargo test --release -p portcullis-envoy-tests --locked --test rate_limit -- --ignored --nocapture

validate: build envoy native ## Check every example configuration with envoy --mode validate
	$(call say,Validating example configurations)
	@$(NATIVE)/validate

bench: build envoy ## Measure the added CPU time per request (BENCH_ARGS="--rounds 3 --only helmet,lua")
	$(call say,Benchmarks)
	@cargo build --quiet --release --locked --target $(TARGET) -p empty_filter
	@cargo build --quiet --release --locked -p empty_library
	@cargo run --quiet --release -p portcullis-envoy-tests --locked --bin bench -- $(BENCH_ARGS)

size: build ## Print the sizes of the modules
	@for module in $(MODULES); do \
	    printf '%-32s %9d bytes, %9d gzipped\n' $$module "$$(stat -c %s $$module)" "$$(gzip -9c $$module | wc -c)"; \
	done

# The command for this machine. With an explicit target, the flags do not apply to build scripts.
.PHONY: dist/portcullis-validate
dist/portcullis-validate: | toolchain
	$(call say,Building $@)
	@mkdir -p dist
	@host="$$(rustc -vV | sed -n 's/^host: //p')"; \
	RUSTFLAGS='-C strip=symbols --remap-path-prefix=$(CARGO_HOME)/registry/src=/crates' \
	    cargo build --release --locked --target "$$host" -p portcullis-validate; \
	cp "$${CARGO_TARGET_DIR:-target}/$$host/release/portcullis-validate" $@

package: build dist/portcullis-validate ## Pack the plugins with licences and SBOM (twice, to compare the bytes)
	$(call say,Packing into dist/package)
	@envoy/package $(PLUGINS)
	@cp dist/package/SHA256SUMS dist/package.sums
	@envoy/package $(PLUGINS) > /dev/null
	@cmp dist/package.sums dist/package/SHA256SUMS || { echo 'package: the two runs differ'; exit 1; }
	@rm dist/package.sums

# A file that is current keeps its time: the plugins contain it, and cargo would build everything again.
schema: native ## Write each plugin's JSON Schema
	@for plugin in $(PACKAGES); do \
	    $(NATIVE)/examples/$$plugin-schema > $(NATIVE)/schema.json; \
	    cmp -s $(NATIVE)/schema.json plugins/$$plugin/schema.json || mv $(NATIVE)/schema.json plugins/$$plugin/schema.json; \
	done

clean: ## Remove build outputs and fetched tools
	@cargo clean
	@rm -rf dist .tools

# With RUSTUP_AUTO_INSTALL=0, rustup does not install the toolchain file's toolchain on its own.
toolchain:
	@command -v rustup > /dev/null || { echo 'rustup is needed: see https://rustup.rs'; exit 1; }
	@if ! rustup run $(TOOLCHAIN) rustc --version > /dev/null 2>&1 \
	    || ! rustup +$(TOOLCHAIN) component list --installed | grep -q ^clippy \
	    || ! rustup +$(TOOLCHAIN) component list --installed | grep -q ^rustfmt \
	    || [ "$$(rustup +$(TOOLCHAIN) target list --installed | grep -c -e wasm32-wasip1 -e wasm32-unknown-unknown)" != 2 ]; then \
	    echo '== Installing Rust $(TOOLCHAIN) with its targets'; \
	    rustup toolchain install $(TOOLCHAIN) --no-self-update --profile minimal --component clippy,rustfmt \
	        --target wasm32-wasip1,wasm32-unknown-unknown; \
	fi

# It runs once for each test binary, so a fast build matters more than a fast program: it is built without optimisation,
# and without the TLS that browser drivers would need. Its input has no debug information (see test-in-node), which is
# four fifths of a module, so it is fast enough.
$(WASM_BINDGEN_RUNNER): | toolchain
	$(call say,Installing the wasm-bindgen test runner $(WASM_BINDGEN) (once$(comma) a minute or two))
	@CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	    cargo install wasm-bindgen-cli --version $(WASM_BINDGEN) --no-default-features \
	    --bin wasm-bindgen-test-runner --root .tools/wasm-bindgen-$(WASM_BINDGEN)

comma := ,
