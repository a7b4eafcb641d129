# SPDX-License-Identifier: GPL-3.0-only
#
# make            build everything into build/
# make test       install what is missing, build with warnings as errors, run every test
# make demo       the whole way from a container to a table of its watts, on real daemons
# make help       the rest

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

BUILD ?= build
PREFIX ?= /usr
DESTDIR ?=

CC ?= gcc
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
           -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wundef
CFLAGS ?= -O2 -g
CPPFLAGS_ALL = -D_GNU_SOURCE -I$(BUILD) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(WERROR) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = -pthread $(SANITIZE) $(LDFLAGS)
LIBS = -lbpf -lcjson -lm

# The packages are Debian's and Ubuntu's. A build needs the first line, the tests and the demo all.
PACKAGES_BUILD = gcc make clang llvm bpftool pkg-config libc6-dev libbpf-dev libelf-dev zlib1g-dev \
                 libcjson-dev collectd-dev
PACKAGES_TEST = check python3 collectd-core influxdb curl docker.io containerd runc busybox-static \
                valgrind iproute2 procps
PACKAGES_LINT = clang-format clang-tidy cppcheck

core_sources := $(wildcard common/*.c)
core_objects := $(core_sources:%.c=$(BUILD)/%.o)
execd_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard telegraf-execd/*.c))
collectd_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard collectd-plugin/*.c))
bpf_sources := $(wildcard bpf/*.bpf.c)
skeletons := $(bpf_sources:bpf/%.bpf.c=$(BUILD)/bpf/%.skel.h)
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*_test.c))
fuzzers := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))

.PHONY: all
all: $(BUILD)/deepmon-execd $(BUILD)/deepmon.so $(BUILD)/rapl-sim

# ---- Kernel side -------------------------------------------------------------------------------

# Headers such as asm/types.h stand where the C compiler looks, not where clang does for bpf.
multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)

BPF_COMPILE = $(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERROR) \
	      $(if $(multiarch),-idirafter /usr/include/$(multiarch))

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	@mkdir -p $(@D)
	$(BPF_COMPILE) -c $< -o $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# ---- Core and front ends -----------------------------------------------------------------------

$(BUILD)/%.o: %.c | $(skeletons)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(BUILD)/libdeepmon.a: $(core_objects)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/deepmon-execd: $(execd_objects) $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# collectd's headers are not written for our warnings.
$(BUILD)/collectd-plugin/%.o: CPPFLAGS_ALL += -DHAVE_CONFIG_H -isystem /usr/include/collectd

# The daemon looks up module_register alone; everything else stays inside.
$(BUILD)/deepmon.so: $(collectd_objects) $(BUILD)/libdeepmon.a
	$(CC) -shared $(LDFLAGS_ALL) -Wl,--exclude-libs,ALL -o $@ $^ $(LIBS)

$(BUILD)/rapl-sim: $(BUILD)/tests/sim/rapl_sim.o $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm

# ---- Tests -------------------------------------------------------------------------------------

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $< $(UNIT_OBJECTS) $(BUILD)/libdeepmon.a $(LIBS) -lcheck -lsubunit -lrt -lm

.PHONY: unit
unit: $(unit_tests)
	@failed=0; for t in $(unit_tests); do $$t || failed=1; done; exit $$failed

FUZZ_FLAGS = -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(core_sources) $(wildcard common/*.h) | $(skeletons)
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) $(CPPFLAGS_ALL) -pthread -o $@ $< $(core_sources) $(LIBS)

# The kept corpus, then FUZZ_RUNS new inputs each. By hand: make fuzz FUZZ_RUNS=10000000
FUZZ_RUNS ?= 200000
.PHONY: fuzz
fuzz: $(fuzzers)
	@set -e; for f in $(fuzzers); do \
	    name=$$(basename $$f); mkdir -p $(BUILD)/corpus/$$name; \
	    echo "# $$name: $(FUZZ_RUNS) runs"; \
	    $$f -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/corpus/ $(BUILD)/corpus/$$name tests/fuzz/corpus/$$name; \
	done

# What is not installed yet, from the distribution.
.PHONY: deps
deps:
	@missing=; for p in $(PACKAGES_BUILD) $(PACKAGES_TEST); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "# installing:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -qq --no-install-recommends $$missing > /dev/null; \
	fi

# The skeletons and the wildcards need what deps installs, so the work is a make of its own after it.
.PHONY: test
test: deps
	$(MAKE) WERROR=-Werror all unit
	BUILD=$(BUILD) $(PYTHON) tests/integration/run.py

# ROUNDS=5 ends by itself; SIMULATE_RAPL=1 where there is no RAPL; WITH_DOCKER=1 starts two containers.
.PHONY: demo
demo: deps
	@$(MAKE) --silent all
	@BUILD=$(BUILD) $(PYTHON) tests/demo/demo.py

# ---- Bench -------------------------------------------------------------------------------------

bench_programs := $(BUILD)/tests/bench/attach $(BUILD)/tests/bench/pingpong

$(BUILD)/tests/bench/%.bpf.o: tests/bench/%.bpf.c $(wildcard tests/bench/*.h bpf/*.h)
	@mkdir -p $(@D)
	$(BPF_COMPILE) -c $< -o $@

$(BUILD)/tests/bench/%.skel.h: $(BUILD)/tests/bench/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(BUILD)/tests/bench/attach.o: $(BUILD)/tests/bench/reference.skel.h

$(bench_programs): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o
	$(CC) $(LDFLAGS_ALL) -o $@ $< -lbpf

# What deepmon costs, beside what it is compared with; figures in $(BUILD)/bench.tsv. No test: it passes
# whatever they are. BENCH_SECONDS=0.3 of each ping-pong, ROUNDS=5; README=1 writes the table into README.md.
.PHONY: bench
bench: deps
	@$(MAKE) --silent all $(bench_programs)
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py

.PHONY: help
help:
	@echo 'make            build everything into $(BUILD)/'
	@echo 'make test       install what is missing, build with warnings as errors, run every test'
	@echo 'make demo       the whole way from a container to a table of its watts'
	@echo '                (ROUNDS=5, SIMULATE_RAPL=1, WITH_DOCKER=1)'
	@echo 'make fuzz       the fuzzers, FUZZ_RUNS inputs each'
	@echo 'make bench      what deepmon costs, beside what it is compared with'
	@echo '                (BENCH_SECONDS=0.3, ROUNDS=5; README=1 writes the table into README.md)'

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
