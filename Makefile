# The front door. `make demo` shows a result, `make test` proves the rest.
SHELL := /bin/bash
host := $(if $(filter aarch64 arm64,$(shell uname -m)),linux-aarch64,linux-x86_64)
python := target/venv/bin/python
DEMO_IMAGE ?= docs/images/golf-ball.jpg
BUNDLE ?= export/bundles/imagenette-mini

.DEFAULT_GOAL := help
.PHONY: help build native demo test test-java stress fuzz fuzz-java arm64 bench bench-java bench-jmh bench-arm accuracy clean

help:  ## list the commands
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: native  ## build the operator library and the command line
	@mvn -B -q -ntp package -DskipTests

native:
	@.ci/setup build
	@.ci/native $(host)

demo: build  ## classify a picture with the shipped bundle
	@./coppice classify --repeat 20 --top 3 --picture target/demo $(DEMO_IMAGE)
	@echo "picture of the kept tokens: target/demo/$(basename $(notdir $(DEMO_IMAGE)))-kept.png"

test:  ## run every test of every language
	@.ci/test

test-java: native  ## the Java tests with another Java: JDK=21, JDK=25 or a folder with bin/java
	@home=$$([ -d "$(JDK)" ] && echo "$(JDK)" || .ci/jdk "$(JDK)") && mvn -B -q -ntp verify "-Djvm=$$home/bin/java"

stress: build  ## the long runs of the Java tests: flipped bits, power cuts, overload, closing under load; an hour
	@mvn -B -q -ntp -pl native,runtime/core test -DexcludedTags=none '-Dgroups=stress|scaled' -Dcoppice.stress=20

fuzz:  ## a million random calls of every operator; goes on where it was stopped
	@.ci/fuzz

fuzz-java:  ## a minute of random bytes for every reader of the runtime; goes on where it was stopped
	@.ci/fuzz-java

arm64:  ## cross-build the operator library for 64-bit ARM
	@.ci/setup test
	@.ci/native linux-aarch64

bench: build  ## compare with stock ONNX Runtime; writes target/bench/
	@.ci/setup test
	@$(python) native/bench/ops.py
	@$(python) native/bench/models.py
	@$(python) native/bench/reductions.py
	@$(python) native/bench/blocks.py

bench-java: build  ## what the runtime adds to ONNX Runtime: BUNDLE=folder; microseconds a run, time and memory to the first result
	@java -cp 'runtime/bench/target/coppice-bench.jar:runtime/bench/target/lib/*' dev.coppice.bench.Overhead $(BUNDLE) 5000
	@java -cp 'runtime/bench/target/coppice-bench.jar:runtime/bench/target/lib/*' dev.coppice.bench.FirstResult $(BUNDLE) 10 target/bench/first-result

bench-jmh: build  ## every arrow from image bytes to a result, time and allocation: BUNDLE=folder; writes target/bench/jmh.json
	@mkdir -p target/bench
	@java -cp 'runtime/bench/target/coppice-bench.jar:runtime/bench/target/lib/*' org.openjdk.jmh.Main dev.coppice.pipeline.Line -p bundle=$(BUNDLE) -prof gc -rf json -rff target/bench/jmh.json

bench-arm: arm64  ## estimate the speed on 64-bit ARM, compare with the baseline
	@$(python) native/bench/arm.py

accuracy: build  ## top-1 through Java beside PyTorch on 1,500 photographs
	@.ci/setup test
	@$(python) -m coppice_export.accuracy

clean:  ## remove everything that was built
	rm -rf target native/target runtime/*/target runtime/fuzz/.cifuzz-corpus docs/how-to/latency-test/target
