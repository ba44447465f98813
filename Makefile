# Everything works on a fresh Debian 12, as root, with a Swift toolchain in PATH.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
DIST ?= dist
# Two scratch directories: the agent's flags are global to a build, and would build the controller's libraries again.
BUILD ?= .build
AGENT_BUILD ?= .build-agent

ARCH := $(shell uname -m)
SOURCES := Package.swift Sources Tests
# One test after the other: real servers and deadlines do not bear 400 neighbours on two cores.
TEST_FLAGS ?= --no-parallel
CONTROLLER_FLAGS := -c release --static-swift-stdlib
# Full RELRO; no exported symbols; no unwind tables (scripts/agent.ld, which needs lld); equal functions kept once.
# Measured together: 18.6 MiB becomes 15.5. Functions of equal code are one (nothing compares their addresses).
# Relocations packed (glibc 2.36, which Debian 12 has): 1.2 MB less.
AGENT_FLAGS := -c release --static-swift-stdlib -Xswiftc -Osize -Xswiftc -use-ld=lld -Xlinker -z -Xlinker now \
    -Xlinker -z -Xlinker pack-relative-relocs \
    -Xlinker --version-script=$(abspath scripts/agent.map) -Xlinker --icf=all -Xlinker -O2 -Xlinker --gc-sections \
    -Xlinker --no-eh-frame-hdr -Xlinker $(abspath scripts/agent.ld)
CONTROLLER := $(BUILD)/release/bascule
AGENT := $(AGENT_BUILD)/release/bascule-agent

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: swift ## install the Debian packages that are missing (building, running, testing)
	@scripts/deps.sh

.PHONY: swift
swift:
	@command -v swift >/dev/null || { echo "no swift in PATH; Bascule needs Swift 6.2 or later: https://www.swift.org/install/linux/" >&2; exit 1; }

.PHONY: build
build: swift build-deps controller agent ## build dist/bascule and dist/bascule-agent

.PHONY: build-deps
build-deps:
	@scripts/deps.sh build

.PHONY: controller
controller: build-deps
	swift build --scratch-path $(BUILD) $(CONTROLLER_FLAGS) --product bascule
	@mkdir -p $(DIST)
	@[ $(DIST)/bascule -nt $(CONTROLLER) ] || { strip -o $(DIST)/bascule.new $(CONTROLLER) && mv $(DIST)/bascule.new $(DIST)/bascule; }

.PHONY: agent
agent: build-deps
	swift build --scratch-path $(AGENT_BUILD) $(AGENT_FLAGS) --product bascule-agent
	@mkdir -p $(DIST)/agents/$(ARCH)
	@[ $(DIST)/bascule-agent -nt $(AGENT) ] || { strip -R .comment -o $(DIST)/agent.new $(AGENT) && mv $(DIST)/agent.new $(DIST)/bascule-agent; }
	@ln -f $(DIST)/bascule-agent $(DIST)/agents/$(ARCH)/bascule-agent
	@scripts/agent-size.sh $(DIST)/bascule-agent

.PHONY: test
test: deps ## build, then every test: libraries, real servers, throwaway nodes (as root)
	@$(MAKE) --no-print-directory --output-sync=target -j2 test-programs agent
	BASCULE_AGENTS=$(abspath $(DIST))/agents BASCULE_TEST_AGENTS=$(abspath $(DIST))/test/agents \
	    scripts/test.sh --scratch-path $(BUILD) $(TEST_FLAGS)

# Two builds at once, each in a scratch directory of its own: one alone leaves a core idle half of the time. The tests
# run the controller's debug build, which has the failpoints, and an agent linked from the same objects: one with
# failpoints, which a released one has not, and without the shared libraries of a toolchain, which a node has not.
.PHONY: test-programs
test-programs: build-deps
	swift build --scratch-path $(BUILD) --build-tests
	@mkdir -p $(DIST)/test/agents/$(ARCH)
	@set -o pipefail; swiftc -static-stdlib -emit-executable -module-name bascule_agent -o $(BUILD)/debug/test-agent \
	    -Xlinker --defsym -Xlinker main=bascule_agent_main @$(BUILD)/debug/bascule-agent.product/Objects.LinkFileList \
	    -ldl -l:libsodium.a -l_FoundationCollections -l_FoundationCShims 2>&1 | { grep -v warning: || true; }
	@strip -o $(DIST)/test/agents/$(ARCH)/bascule-agent.new $(BUILD)/debug/test-agent
	@mv $(DIST)/test/agents/$(ARCH)/bascule-agent.new $(DIST)/test/agents/$(ARCH)/bascule-agent

.PHONY: test-all
test-all: export BASCULE_TEST_ALL := 1
test-all: test ## the same with what takes long: every failpoint walked, every fault injected

# The suites that need no node, no server and no time: everything that parses, plans, stores and draws.
SANITIZED ?= Model|Protocol|Execution|Crypto|Net|Fleet|Catalogue|Planning|Store|Resources|AgentCore|Commands|Conducting|FuzzCorpus
.PHONY: sanitize
sanitize: build-deps ## the libraries' tests under the thread and the address sanitizer
	scripts/sanitize.sh '$(SANITIZED)'

SECONDS ?= 180
.PHONY: fuzz
fuzz: build-deps ## throw damaged input at every parser, SECONDS=n each (180), or at TARGET=x alone
	scripts/fuzz.sh $(SECONDS) $(TARGET)

MINUTES ?= 10
SEED ?=
.PHONY: soak
soak: deps agent ## random trouble for MINUTES from SEED, while a model checks what must always hold (as root)
	swift build --scratch-path $(BUILD) --build-tests
	BASCULE_SOAK_MINUTES=$(MINUTES) BASCULE_SEED=$(SEED) BASCULE_AGENTS=$(abspath $(DIST))/agents \
	    swift test --scratch-path $(BUILD) --skip-build --disable-xctest --filter SoakTests

.PHONY: demo
demo: deps controller agent ## a shop leaves its SaaS, live, on throwaway nodes (as root)
	BASCULE=$(abspath $(DIST))/bascule Examples/girlycrea/demo.sh

.PHONY: demo-rollback
demo-rollback: deps controller agent ## the same with a fault before the opening: the old system serves again
	BASCULE=$(abspath $(DIST))/bascule Examples/girlycrea/demo.sh rollback

.PHONY: drill
drill: deps controller agent ## the demo's shop is lost and comes back from another node's copies alone (as root)
	BASCULE=$(abspath $(DIST))/bascule Examples/girlycrea/drill.sh

.PHONY: bench
bench: deps controller agent ## measure: nothing to do, from blank, copying, the agent's footprint
	BASCULE=$(abspath $(DIST))/bascule scripts/bench.sh $(BENCH_FLAGS)

.PHONY: scores
scores: deps controller agent ## what lynis, ssh-audit, nmap and systemd say of a node with the whole stack (as root)
	BASCULE=$(abspath $(DIST))/bascule BASCULE_AGENTS=$(abspath $(DIST))/agents scripts/scores/scores.sh

.PHONY: docs
docs: build-deps ## write docs/fleet-file.md from the parser's own tables
	BASCULE_WRITE_DOCS=1 swift test --scratch-path $(BUILD) --disable-xctest --filter DocsTests

.PHONY: fmt
fmt: swift ## format the sources
	swift format --in-place --parallel --recursive $(SOURCES)

.PHONY: lint
lint: swift ## check the sources' format and rules, strictly
	swift format lint --strict --parallel --recursive $(SOURCES)

.PHONY: package
package: ## pack what is built as dist/bascule.tar.gz, to be unpacked below /usr/local, and its SHA-256
	rm -rf $(DIST)/package
	$(MAKE) --no-print-directory install DESTDIR=$(DIST)/package PREFIX=
	tar --create --gzip --sort=name --owner=0 --group=0 --mtime=@0 --file $(DIST)/bascule.tar.gz -C $(DIST)/package .
	rm -rf $(DIST)/package
	sha256sum $(DIST)/bascule.tar.gz

.PHONY: install
install: ## install what is built below PREFIX (/usr/local), DESTDIR before it
	@[ -x $(DIST)/bascule ] && [ -x $(DIST)/bascule-agent ] || { echo "nothing is built yet: make build" >&2; exit 1; }
	install -D -m 755 $(DIST)/bascule $(DESTDIR)$(PREFIX)/bin/bascule
	for agent in $(DIST)/agents/*/bascule-agent; do \
	    install -D -m 755 "$$agent" "$(DESTDIR)$(PREFIX)/lib/bascule/$${agent#$(DIST)/}" || exit 1; \
	done
	install -d $(DESTDIR)$(PREFIX)/share/doc/bascule
	install -m 644 README.md LICENSE docs/*.md $(DESTDIR)$(PREFIX)/share/doc/bascule/

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD) $(AGENT_BUILD) $(AGENT_BUILD)-test .build-fuzz .build-thread .build-address $(DIST)
