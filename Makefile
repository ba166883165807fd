# Portcullis. `make` lists what there is to do; nothing here needs more than rustup, Python 3 with
# pip, and (for `make test-wasm`) Node. What else is needed is fetched into .tools and target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A plugin is a folder with a module. Nothing here names one.
PLUGINS := $(subst -,_,$(patsubst plugins/%/module/,%,$(sort $(wildcard plugins/*/module/))))
PACKAGES := $(subst _,-,$(PLUGINS))
MODULES := $(PLUGINS:%=dist/%.wasm)
TARGET := wasm32-wasip1

TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
WASM_BINDGEN := $(shell grep -A1 '^name = "wasm-bindgen"$$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
WASM_BINDGEN_RUNNER := .tools/wasm-bindgen-$(WASM_BINDGEN)/bin/wasm-bindgen-test-runner

# Modules are the same, byte for byte, wherever they are built.
CARGO_HOME ?= $(HOME)/.cargo
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)/registry/src=/crates

# The crates that call nothing: their tests run in Node, too.
PURE := portcullis-core portcullis-table $(PACKAGES:%=%-policy)

# What runs natively, compiled once for all: see tests/run.
NATIVE := $${CARGO_TARGET_DIR:-target}/debug

# A stage that cannot run on this machine says so, and fails with REQUIRE_ALL=1.
skip = { echo '== $(1)'; [ -z "$${REQUIRE_ALL:-}" ]; }

say = @printf '\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help demo test lint build envoy test-native test-wasm test-envoy fetch test-compose test-observability soak validate bench size package schema clean toolchain test-dashboard test-one-module test-package test-servers

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build envoy ## Start a real Envoy with the plugins and show them working (DEMO_ARGS=--once: end after the tour)
	$(call say,Demo)
	@envoy/demo $(DEMO_ARGS)

test: test-native test-wasm test-envoy validate ## Everything a contributor needs

lint: toolchain ## Formatting, clippy, licences and advisories, generated files
	$(call say,Formatting)
	@cargo fmt --all --check
	$(call say,Clippy)
	@cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	@cargo clippy --locked $(PACKAGES:%=-p %-module) --target $(TARGET) -- -D warnings
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

build: toolchain ## Build the modules into dist
	$(call say,Building $(words $(PLUGINS)) modules)
	@cargo build --release --locked --target $(TARGET) $(PACKAGES:%=-p %-module)
	@mkdir -p dist
	@cargo run --quiet --locked -p portcullis-trim -- dist $(PACKAGES:%=%-module)
	@cd dist && for module in $(PLUGINS:%=%.wasm); do sha256sum $$module > $$module.sha256; done

envoy: ## Fetch the pinned Envoy (or use ENVOY_BIN)
	@envoy/get-envoy

test-native: toolchain ## Unit tests, property tests, and the scenarios on the native host
	$(call say,Native tests)
	@tests/run native

.PHONY: native
native: toolchain
	@tests/run build

fetch: toolchain envoy ## Fetch and install what the tests need (they do it by themselves, too)
	@cargo fetch --quiet --locked
	@tests/get-cargo-deny > /dev/null
	@if command -v apt-get > /dev/null; then tests/get-debian prometheus > /dev/null; fi
	@if command -v npm > /dev/null; then cd tests/dashboard && npm ci --silent; fi
	@if command -v node > /dev/null; then $(MAKE) --no-print-directory $(WASM_BINDGEN_RUNNER); fi

test-wasm: toolchain ## The tests of the policies on wasm32-unknown-unknown in Node
	@if ! command -v node > /dev/null; then \
	    $(call skip,Tests in Node: skipped$(comma) because there is no Node here (Debian: apt install nodejs)); \
	else \
	    $(MAKE) --no-print-directory test-in-node; \
	fi

# These show that the policies do on 32 bits and in WebAssembly the same as natively; test-native, which runs
# the same properties, looks for the rare case with all 256 cases each. Without debug information a module
# is a fifth as large, and most of the time is reading it.
.PHONY: test-in-node
test-in-node: $(WASM_BINDGEN_RUNNER)
	$(call say,Tests in Node)
	@CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_CASES=64 \
	    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(WASM_BINDGEN_RUNNER)) \
	    cargo test $(PURE:%=-p %) --lib --tests --locked --target wasm32-unknown-unknown

test-envoy: build envoy ## The scenarios on a real Envoy
	$(call say,Tests on a real Envoy)
	@cargo rustc --quiet --release --locked --target $(TARGET) -p claims_filter --crate-type cdylib
	@tests/run envoy

# The other modes of the scenarios are in test-native and test-envoy.
test-one-module: build envoy ## The scenarios on a real Envoy, with all plugins in one module (some minutes; not a part of make test)
	$(call say,Scenarios on a real Envoy$(comma) all plugins in one module)
	@cargo rustc --quiet --release --locked --target $(TARGET) -p claims_filter --crate-type cdylib
	@tests/run one-module

test-compose: build envoy ## The demo in containers, on a real Docker engine (root, or an engine that runs; else skipped)
	@tests/compose/run

test-observability: build envoy ## Rules, alerts and the dashboard, on a real Prometheus (Debian's; elsewhere skipped)
	@tests/observability/run

test-dashboard: build envoy ## The live page, and what security-headers sends, in headless Chromium (screenshots: target/dashboard)
	@if ! command -v npm > /dev/null || ! command -v chromium > /dev/null; then \
	    $(call skip,The live page and responses in a browser: skipped$(comma) because it takes Node and Chromium (Debian: apt install npm chromium)); \
	else \
	    $(MAKE) --no-print-directory test-in-chromium; \
	fi

.PHONY: test-in-chromium
test-in-chromium:
	$(call say,The live page and responses in Chromium)
	@cd tests/dashboard && npm ci --silent && ENVOY_BIN="$$(../../envoy/get-envoy)" CHROMIUM_BIN="$$(command -v chromium)" \
	    node --test --test-reporter=spec .

test-package: package ## Pack again in another place: the same bytes (some minutes; not a part of make test)
	$(call say,Packing in another place)
	@tests/package/run

test-servers: build envoy ## What Express, Flask, Starlette and wsgiref read, against what the policies judged (some minutes; not a part of make test)
	$(call say,Real servers)
	@tests/servers/run

soak: build envoy ## A billion steps of retry-budget's ledger, a million keys against rate-limit on a real Envoy (some minutes; not a part of make test)
	$(call say,Soak: a ledger)
	@CARGO_PROFILE_RELEASE_LTO=off cargo test --release -p retry-budget-policy --locked --lib -- --ignored
	$(call say,Soak: a flood of keys)
	@cargo test --release -p portcullis-envoy-tests --locked --test rate_limit -- --ignored --nocapture

validate: build envoy native ## Every example configuration through envoy --mode validate
	$(call say,Validating example configurations)
	@$(NATIVE)/validate

bench: build envoy ## Added CPU time per request (BENCH_ARGS="--rounds 3 --only helmet,lua")
	$(call say,Benchmarks)
	@cargo build --quiet --release --locked --target $(TARGET) -p empty_filter
	@cargo run --quiet --release -p portcullis-envoy-tests --locked --bin bench -- $(BENCH_ARGS)

size: build ## Sizes of the modules, which export only the callbacks that their plugins use
	@for module in $(MODULES); do \
	    printf '%-32s %9d bytes, %9d gzipped\n' $$module "$$(stat -c %s $$module)" "$$(gzip -9c $$module | wc -c)"; \
	done

# The command for the machine that packs. Built for a named target, so that the flags are not for build scripts.
.PHONY: dist/portcullis-validate
dist/portcullis-validate: | toolchain
	$(call say,Building $@)
	@mkdir -p dist
	@host="$$(rustc -vV | sed -n 's/^host: //p')"; \
	RUSTFLAGS='-C strip=symbols --remap-path-prefix=$(CARGO_HOME)/registry/src=/crates' \
	    cargo build --release --locked --target "$$host" -p portcullis-validate; \
	cp "$${CARGO_TARGET_DIR:-target}/$$host/release/portcullis-validate" $@

package: build dist/portcullis-validate ## Pack the plugins for shipping, with licences and SBOM (twice: both must be the same)
	$(call say,Packing into dist/package)
	@envoy/package $(PLUGINS)
	@cp dist/package/SHA256SUMS dist/package.sums
	@envoy/package $(PLUGINS) > /dev/null
	@cmp dist/package.sums dist/package/SHA256SUMS || { echo 'package: two runs gave different bytes'; exit 1; }
	@rm dist/package.sums

schema: native ## Write each plugin's JSON Schema
	@for plugin in $(PACKAGES); do \
	    $(NATIVE)/examples/$$plugin-schema > $(NATIVE)/schema.json; \
	    mv $(NATIVE)/schema.json plugins/$$plugin/schema.json; \
	done

clean: ## Remove what was built, and the tools that were fetched
	@cargo clean
	@rm -rf dist .tools

# rustup does not install a toolchain file's toolchain by itself where RUSTUP_AUTO_INSTALL=0 is set.
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

# It runs once a test binary, so it is compiled fast rather than made fast: without optimisation, and without
# the TLS that drivers of browsers would need. What it reads has no debug information (see test-in-node),
# which is four fifths of a module, so that it is not slow either.
$(WASM_BINDGEN_RUNNER): | toolchain
	$(call say,Installing the wasm-bindgen test runner $(WASM_BINDGEN) (once$(comma) a minute or two))
	@CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	    cargo install wasm-bindgen-cli --version $(WASM_BINDGEN) --no-default-features \
	    --bin wasm-bindgen-test-runner --root .tools/wasm-bindgen-$(WASM_BINDGEN)

comma := ,
