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
                 libcjson-dev libcurl4-openssl-dev libncurses-dev collectd-dev
PACKAGES_TEST = libclang-rt-14-dev check locales python3 collectd-core influxdb curl openssl docker.io containerd runc busybox-static \
                valgrind iproute2 iptables procps podman python3-yaml fio nginx wrk apache2-utils redis-server \
                tmux rrdtool librrd8 libmicrohttpd12 libprotobuf-c1 mandoc groff-base time mmdebstrap $(PACKAGES_DEB)
PACKAGES_LINT = clang-format clang-tidy cppcheck
PACKAGES_KERNELS = python3 qemu-system-x86 busybox-static
PACKAGES_DEB = debhelper dpkg-dev fakeroot lintian

core_sources := $(wildcard common/*.c)
core_objects := $(core_sources:%.c=$(BUILD)/%.o)
execd_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard telegraf-execd/*.c))
top_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard contrib/top/*.c))
collectd_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard collectd-plugin/*.c))
bpf_sources := $(wildcard bpf/*.bpf.c)
skeletons := $(bpf_sources:bpf/%.bpf.c=$(BUILD)/bpf/%.skel.h)
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*_test.c))
fuzzers := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))

.PHONY: all
all: $(BUILD)/deepmon-execd $(BUILD)/deepmon-top $(BUILD)/deepmon.so $(BUILD)/rapl-sim $(BUILD)/catalogue $(BUILD)/lines

# ---- Kernel side -------------------------------------------------------------------------------

# Headers such as asm/types.h stand where the C compiler looks, not where clang does for bpf.
multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)

# The names that libbpf's headers have for the processors.
bpf_arch := $(subst x86_64,x86,$(subst aarch64,arm64,$(shell uname -m)))

BPF_COMPILE = $(CLANG) -target bpf -D__TARGET_ARCH_$(bpf_arch) -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERROR) \
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

$(BUILD)/deepmon-top: $(top_objects) $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lncursesw -ltinfo

# collectd's headers are not written for our warnings.
$(BUILD)/collectd-plugin/%.o: CPPFLAGS_ALL += -DHAVE_CONFIG_H -isystem /usr/include/collectd

# The daemon looks up module_register alone; everything else stays inside.
$(BUILD)/deepmon.so: $(collectd_objects) $(BUILD)/libdeepmon.a
	$(CC) -shared $(LDFLAGS_ALL) -Wl,--exclude-libs,ALL -o $@ $^ $(LIBS)

$(BUILD)/rapl-sim: $(BUILD)/tests/sim/rapl_sim.o $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ -lm

# For tests of the line protocol alone.
$(BUILD)/lines: $(BUILD)/tests/lines/lines.o $(BUILD)/telegraf-execd/line_protocol.o $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# ---- Generated documents -----------------------------------------------------------------------

$(BUILD)/catalogue: $(BUILD)/tests/docs/catalogue.o $(addprefix $(BUILD)/telegraf-execd/,settings.o config_file.o) \
		    $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Whole files, and files with regions marked "generated: PART" to "end".
documents_filled = README.md collectd-plugin/collectd.conf telegraf-execd/telegraf.conf $(manual_pages)
manual_pages = collectd-plugin/deepmon.5 telegraf-execd/deepmon-execd.8

.PHONY: docs
docs: $(BUILD)/catalogue
	$(BUILD)/catalogue types.db > collectd-plugin/types.db
	@set -e; for f in $(documents_filled); do \
	    $(BUILD)/catalogue fill $$f > $(BUILD)/filled; cat $(BUILD)/filled > $$f; \
	done; rm -f $(BUILD)/filled

# ---- Tests -------------------------------------------------------------------------------------

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libdeepmon.a
	$(CC) $(LDFLAGS_ALL) -o $@ $< $(UNIT_OBJECTS) $(BUILD)/libdeepmon.a $(LIBS) -lcheck -lsubunit -lrt -lm

# Tests of a front end's parts take them in.
$(BUILD)/tests/unit/settings_test: UNIT_OBJECTS = $(addprefix $(BUILD)/telegraf-execd/,settings.o config_file.o help.o doctor.o)
$(BUILD)/tests/unit/line_protocol_test: UNIT_OBJECTS = $(BUILD)/telegraf-execd/line_protocol.o
$(BUILD)/tests/unit/output_test: UNIT_OBJECTS = $(BUILD)/telegraf-execd/output.o
$(addprefix $(BUILD)/tests/unit/,settings_test line_protocol_test output_test run_report_test): $(execd_objects)
$(BUILD)/tests/unit/identifier_test: UNIT_OBJECTS = $(BUILD)/collectd-plugin/identifier.o
$(BUILD)/tests/unit/identifier_test: $(collectd_objects)
$(BUILD)/tests/unit/run_report_test: UNIT_OBJECTS = $(BUILD)/telegraf-execd/run_report.o

# The screen is tested in a terminal.
$(BUILD)/tests/unit/top_test: UNIT_OBJECTS = $(addprefix $(BUILD)/contrib/top/,batch.o figures.o filter.o model.o view.o)
$(BUILD)/tests/unit/top_test: $(top_objects)
# All but who asks.
influx_objects = $(addprefix $(BUILD)/contrib/top/,influx_answer.o influx_csv.o influx_query.o influx_records.o influx_rows.o figures.o model.o)
$(BUILD)/tests/unit/influx_test: UNIT_OBJECTS = $(influx_objects) $(BUILD)/collectd-plugin/identifier.o
$(BUILD)/tests/unit/influx_test: $(top_objects) $(collectd_objects)

# It looks at groups before some of them are dropped.
$(BUILD)/tests/unit/attribution_test: UNIT_OBJECTS = -Wl,--wrap=groups_forget_ended

.PHONY: unit
unit: $(unit_tests)
	@failed=0; for t in $(unit_tests); do CK_DEFAULT_TIMEOUT=60 $$t || failed=1; done; exit $$failed

# The fuzzers' core is compiled once, with all that looks for mistakes.
FUZZ_FLAGS = -std=gnu11 -g -O1 -pthread -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz_objects := $(core_sources:%.c=$(BUILD)/fuzz/%.o) $(BUILD)/fuzz/telegraf-execd/line_protocol.o \
                $(influx_objects:$(BUILD)/%=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/%.o: %.c | $(skeletons)
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(CPPFLAGS_ALL) -MMD -MP -c $< -o $@

# A source that a fuzzer includes, to put its own in place of system calls, is not linked again.
included = $(shell sed -n 's|^\#include "../../\(common/.*\)\.c"$$|$(BUILD)/fuzz/\1.o|p' tests/fuzz/$(1).c)
$(BUILD)/tests/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(fuzz_objects)
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $(filter-out $(call included,$*),$^) $(LIBS)

# FUZZ_RUNS inputs each, the kept ones first. By hand: make fuzz FUZZ_RUNS=10000000
FUZZ_RUNS ?= 200000
.PHONY: fuzz
fuzz: $(fuzzers)
	@set -e; for f in $(fuzzers); do \
	    name=$$(basename $$f); found=$(BUILD)/corpus/$$name; log=$$found.log; mkdir -p $$found; \
	    test -n "$$(ls tests/fuzz/corpus/$$name)"; \
	    test -z "$$(find tests/fuzz/corpus/$$name -empty)"; \
	    $$f -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/corpus/ $$found tests/fuzz/corpus/$$name > $$log 2>&1 || \
	        { tail -50 $$log; echo "# $$name: failed, see $$log"; exit 1; }; \
	    echo "# $$name: $$(sed -n 's/^stat::number_of_executed_units: *//p' $$log) runs," \
	        "$$(ls tests/fuzz/corpus/$$name | wc -l) of them kept inputs"; \
	done

# Everything again with the compiler's checks of memory and arithmetic: SANITIZE_TESTS are words of
# integration tests' names. Not collectd's: its daemon would have to be built so, too.
SANITIZE_TESTS ?= execd doctor cgroup_files faults.a_counter faults.no_ faults.nothing accounting churn docs.lines
.PHONY: test-sanitize
test-sanitize: deps
	$(MAKE) BUILD=$(BUILD)/sanitize WERROR=-Werror \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' all unit
	BUILD=$(BUILD)/sanitize $(PYTHON) tests/integration/run.py $(SANITIZE_TESTS)

# The same with the compiler's watch over threads, which ends a process at the first race. Not part of make test.
THREAD_TESTS ?= identity.docker identity.a_name_that identity.a_socket identity.podmans kubernetes.owners_and \
                kubernetes.a_kubelet_that_hangs
.PHONY: test-threads
test-threads: deps
	$(MAKE) BUILD=$(BUILD)/threads WERROR=-Werror CFLAGS='-O1 -g' SANITIZE=-fsanitize=thread all unit
	BUILD=$(BUILD)/threads TSAN_OPTIONS=halt_on_error=1 $(PYTHON) tests/integration/run.py $(THREAD_TESTS)

# What is not installed yet, from the distribution.
.PHONY: deps deps-lint deps-kernels deps-deb
deps: packages = $(PACKAGES_TEST)
deps-lint: packages = $(PACKAGES_LINT)
deps-kernels: packages = $(PACKAGES_KERNELS)
deps-deb: packages = $(PACKAGES_DEB)
deps deps-lint deps-kernels deps-deb:
	@missing=; for p in $(PACKAGES_BUILD) $(packages); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "# installing:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -qq --no-install-recommends $$missing > /dev/null; \
	fi

# A second opinion on line protocol, where there is npm: the test says when it is missing.
.PHONY: deps-npm
deps-npm:
	@test -d $(BUILD)/npm/node_modules/@influxdata/influxdb-client || ! command -v npm > /dev/null || \
	    npm install --silent --no-audit --no-fund --fetch-retries=0 --prefix $(BUILD)/npm @influxdata/influxdb-client@1.35.0 || \
	    echo '# @influxdata/influxdb-client was not to be had'

# The skeletons and the wildcards need what deps installs, so the work is a make of its own after it.
.PHONY: test
test: deps deps-npm
	$(MAKE) WERROR=-Werror all unit
	$(MAKE) fuzz FUZZ_RUNS=4000
	$(MAKE) test-sanitize SANITIZE_TESTS='execd.once docs.lines'
	BUILD=$(BUILD) $(PYTHON) tests/integration/run.py

# The guest has no libraries but those that deepmon-execd brings.
$(BUILD)/tests/kernels/guest: $(BUILD)/tests/kernels/guest.o
	$(CC) -static $(LDFLAGS_ALL) -o $@ $<

# On other kernels, Debian's cloud images, under emulation: half a minute for each layout of cgroups.
# KERNELS="5.10 newest" picks some, ONLY=overlap a method; FRESH=1 looks for newer kernels than those kept;
# README=1 writes the table into README.md.
.PHONY: test-kernels
test-kernels: deps-kernels
	@$(MAKE) --silent WERROR=-Werror all $(BUILD)/tests/kernels/guest
	@BUILD=$(BUILD) $(PYTHON) tests/kernels/run.py $(KERNELS)

# collectd's own unit with our drop-in under a real systemd, of Debian 12, in the emulator: some minutes.
.PHONY: test-systemd
test-systemd: deps deps-kernels deb
	@BUILD=$(BUILD) $(PYTHON) tests/kernels/systemd.py

# ---- Lint --------------------------------------------------------------------------------------

# All C files and headers of ours, and those that are compiled for this machine.
lint_files = $(wildcard $(addsuffix /*.[ch],bpf common collectd-plugin telegraf-execd contrib/* tests/*))
tidy_files = $(filter-out %.bpf.c,$(filter %.c,$(lint_files)))
TIDY_FLAGS = -std=gnu11 $(CPPFLAGS_ALL) -DHAVE_CONFIG_H -isystem /usr/include/collectd
# The tests of Check are macros that cppcheck makes nothing of.
CPPCHECK_FLAGS = --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
                 -D__x86_64__ '-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}'

.PHONY: lint
lint: deps-lint
	@$(MAKE) --silent lint-all

.PHONY: lint-all
lint-all: $(skeletons) $(BUILD)/tests/bench/reference.skel.h
	clang-format --dry-run -Werror $(lint_files)
	@# What it says on stderr is how many warnings it left out.
	printf '%s\n' $(tidy_files) | xargs -P 2 -n 4 sh -c \
	    'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(TIDY_FLAGS) 2>/dev/null' clang-tidy
	cppcheck $(CPPCHECK_FLAGS) $(filter-out tests/unit/%,$(tidy_files))

# ---- Installation ------------------------------------------------------------------------------

bindir = $(PREFIX)/bin
datadir = $(PREFIX)/share/deepmon
mandir = $(PREFIX)/share/man
# Where this distribution's collectd looks; not below PREFIX, which collectd knows nothing of.
COLLECTD_PLUGIN_DIR ?= $(patsubst %/,%,$(dir $(firstword $(wildcard /usr/lib/collectd/logfile.so \
    /usr/lib64/collectd/logfile.so /usr/lib/*/collectd/logfile.so) /usr/lib/collectd/logfile.so)))

man_pages := $(wildcard telegraf-execd/*.[1-8] collectd-plugin/*.[1-8] contrib/top/*.[1-8])
man_installed = $(foreach page,$(man_pages),$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

installed = $(bindir)/deepmon-execd $(bindir)/deepmon-top $(COLLECTD_PLUGIN_DIR)/deepmon.so \
            $(addprefix $(datadir)/,types.db collectd.conf telegraf.conf collectd.service.d/deepmon.conf) \
            $(man_installed)

.PHONY: install
install: all
	install -D -m 755 -t $(DESTDIR)$(bindir) $(BUILD)/deepmon-execd $(BUILD)/deepmon-top
	install -D -m 644 $(BUILD)/deepmon.so $(DESTDIR)$(COLLECTD_PLUGIN_DIR)/deepmon.so
	install -D -m 644 -t $(DESTDIR)$(datadir) collectd-plugin/types.db collectd-plugin/collectd.conf \
	    telegraf-execd/telegraf.conf
	install -D -m 644 -t $(DESTDIR)$(datadir)/collectd.service.d contrib/systemd/collectd.service.d/deepmon.conf
	@for page in $(man_pages); do \
	    install -D -m 644 -t $(DESTDIR)$(mandir)/man$${page##*.} $$page; \
	done
	sed -i 's|/usr/bin/deepmon-execd|$(bindir)/deepmon-execd|' $(DESTDIR)$(datadir)/telegraf.conf

# With their directories, as far as nobody else has something in them.
.PHONY: uninstall
uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))
	@cd $(or $(DESTDIR),/) && for f in $(installed); do \
	    rmdir -p --ignore-fail-on-non-empty .$$(dirname $$f) 2>/dev/null || true; \
	done

# The package of Debian and Ubuntu, in $(BUILD)/deb; lintian has nothing against it. Its unit tests are those of
# `make test`.
deb_sources = Makefile README.md LICENSE bpf collectd-plugin common contrib telegraf-execd tests
deb_tree = $(BUILD)/deb/deepmon
# A page for each program is asked for, where there are pages.
lintian_flags = --allow-root --fail-on error,warning --tag-display-limit 0 $(if $(man_pages),,--suppress-tags no-manual-page)

.PHONY: deb
deb: deps-deb
	rm -rf $(BUILD)/deb
	mkdir -p $(deb_tree)
	tar -c --exclude=__pycache__ $(deb_sources) | tar -x -C $(deb_tree)
	mv $(deb_tree)/contrib/debian $(deb_tree)/debian
	cd $(deb_tree) && env -u MAKEFLAGS -u MAKELEVEL -u BUILD -u DESTDIR -u PREFIX \
	    DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=2' dpkg-buildpackage --build=binary --no-sign > ../build.log 2>&1 || \
	    { tail -30 ../build.log; exit 1; }
	rm -rf $(deb_tree)
	lintian $(lintian_flags) $(BUILD)/deb/*.deb

# ---- The rest ----------------------------------------------------------------------------------

# ROUNDS=5 ends by itself; SIMULATE_RAPL=1 where there is no RAPL; WITH_DOCKER=1 starts two containers.
.PHONY: demo
demo: deps
	@$(MAKE) --silent all
	@BUILD=$(BUILD) $(PYTHON) tests/demo/demo.py

# ---- Bench -------------------------------------------------------------------------------------

bench_programs := $(addprefix $(BUILD)/tests/bench/,attach calls pingpong)

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
	@echo 'make install    into PREFIX ($(PREFIX)) and collectd'"'"'s plugin directory; make uninstall; DESTDIR'
	@echo 'make deb        the package of Debian and Ubuntu, in $(BUILD)/deb'
	@echo 'make docs       write the generated parts of README.md, types.db and the sample configurations'
	@echo 'make fuzz       the fuzzers, FUZZ_RUNS inputs each'
	@echo 'make test-sanitize  unit and integration tests with the compiler'"'"'s checks of memory and arithmetic'
	@echo 'make test-threads  those of threads under ThreadSanitizer (THREAD_TESTS="identity kubernetes")'
	@echo 'make test-kernels  on Linux 5.10 to the newest, under emulation (KERNELS="5.10 6.12")'
	@echo 'make test-systemd  the package and the drop-in under a real systemd, under emulation'
	@echo 'make lint       clang-format, clang-tidy and cppcheck'
	@echo 'make bench      what deepmon costs, beside what it is compared with'
	@echo '                (BENCH_SECONDS=0.3, ROUNDS=5; README=1 writes the table into README.md)'

.PHONY: clean
clean:
	rm -rf $(BUILD)

# Not what tests unpack there.
-include $(shell find $(BUILD) -path $(BUILD)/integration -prune -o -type f -name '*.d' -print 2>/dev/null)
