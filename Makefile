# Everything that is done with this repository. A machine needs Go, Node.js with npm, make and git; the rest is fetched.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
ENGINE      := internal/sandbox/ocrengine/ocr
CLIENTS     := internal/sandbox/testdata/clients
DEVS        := deploy/testdata/serverless-devs
AXE         := internal/console/testdata/axe
NPM_CI      := npm ci --ignore-scripts --no-audit --no-fund
# In the language of the terminal: $(call say,English,Chinese).
LOCALE      := $(firstword $(LC_ALL) $(LC_MESSAGES) $(LANG))
say         = $(if $(filter zh zh_% zh-% zh.%,$(LOCALE)),$(2),$(1))
# The race detector needs a C compiler.
RACE        := $(if $(shell command -v $${CC:-gcc} || command -v cc),-race)
# Packages that are tested at a time: some wait for processes and browsers.
PACKAGES    := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 2 )))
CARD        ?= testdata/cards/scan-01.jpg

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: engine clients serverless-devs axe browser dist/.modules ## Fetch everything that building, running and testing needs

.PHONY: engine
engine: $(ENGINE)/node_modules/.installed ## Install the sandbox's OCR engine

# The console is tested in a real browser.
.PHONY: browser
browser: ## Install Chromium for the tests of the console, if there is none
	@command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk; \
	else echo "Chromium is missing: install it, on Debian with: sudo apt-get install chromium" >&2; exit 1; fi

.PHONY: clients
clients: $(CLIENTS)/node_modules/.installed

.PHONY: axe
axe: $(AXE)/node_modules/.installed

.PHONY: serverless-devs
serverless-devs: $(DEVS)/node_modules/.installed

# npm writes node_modules anew, so the stamp inside is as new as what was installed.
%/node_modules/.installed: %/package.json %/package-lock.json
	@command -v npm >/dev/null || { echo "$(call say,npm is missing: install Node.js 20 or newer (https://nodejs.org),找不到 npm：请安装 Node.js 20 或更高版本（https://nodejs.org）)" >&2; exit 1; }
	@echo "$(call say,Installing,正在安装) $* ..."
	cd $* && $(NPM_CI)
	@touch $@

dist/.modules: go.mod go.sum
	@command -v go >/dev/null || { echo "$(call say,go is missing: install Go 1.25 or newer (https://go.dev/dl/),找不到 go：请安装 Go 1.25 或更高版本（https://go.dev/dl/）)" >&2; exit 1; }
	@echo "$(call say,Downloading Go modules,正在下载 Go 模块) ..."
	go mod download
	@mkdir -p dist && touch $@

.PHONY: run
run: engine dist/.modules ## Start the sandbox and recognise a specimen (CARD=FILE for another picture)
	@go run ./cmd/sandbox --demo "$(CARD)"

.PHONY: screenshots
screenshots: engine browser dist/.modules ## Take the pictures of the console: docs/images/console-*.png
	go run ./internal/sandbox/console/screenshots

.PHONY: test
test: deps lint ## Check and test everything
	@[ -n "$(RACE)" ] || echo "No C compiler found: testing without the race detector." >&2
	go test $(RACE) -shuffle=on -p $(PACKAGES) ./...

.PHONY: lint
lint: dist/.modules
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" >&2; echo "$$unformatted" >&2; exit 1; fi
	go vet ./...
	@echo "staticcheck ./..."
	@go run $(STATICCHECK) ./...
	@if curl -fsI -m 10 -o /dev/null https://vuln.go.dev/index/db.json; then $(MAKE) vulncheck; \
	else echo "govulncheck is left out: https://vuln.go.dev cannot be reached." >&2; fi

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the code that is called
	go run $(GOVULNCHECK) ./...

.PHONY: package
package: dist/.modules ## Build and pack the function as it is deployed: dist/fc-idcard-ocr.zip
	go run ./deploy/pack

.PHONY: release
release: dist/.modules ## Make everything that a release publishes: dist/release
	go run ./deploy/pack -release dist/release

.PHONY: cover
cover: deps ## Measure what the tests cover: coverage.out
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: bench
bench: dist/.modules ## Measure the function against its baselines: docs/performance.md (Linux, ten minutes, an idle machine)
	go run ./bench

.PHONY: clean
clean: ## Remove what was built and installed (not .sandbox, which holds your pictures)
	rm -rf dist coverage.out $(ENGINE)/node_modules $(CLIENTS)/node_modules $(DEVS)/node_modules $(AXE)/node_modules
