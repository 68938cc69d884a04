# kin -- structured concurrency for C.  `make help` lists the targets.
#
# Every configuration builds in a directory of its own under build/, so they
# coexist.  What configures:
#
#   CC=gcc|clang               CROSS=aarch64-linux-gnu-
#   ANDROID_NDK=<path>         ABI=arm64-v8a|x86_64  API=24
#   SAN=address|undefined|thread|address,undefined
#   CONTEXT=boost              Boost.Context's switch in place of ours
#   LTO=1  DEBUG=1  HARDENED=1
#   HARD=1|2                   rare paths become common ones; see docs/TRUST.md
#   WERROR=1                   warnings are errors, as in `make check` and CI=true
#   CFLAGS= CPPFLAGS= LDFLAGS= yours, after ours
#   TESTS='job_* …'            which tests, for `make test`
#   BUILD= PREFIX= LIBDIR= DESTDIR=  where it is built, and installed
#   V=1                        shows the commands
#
# ROW=<name> chooses a row of the test matrix below: `make test ROW=tsan`.

# ------------------------------------------------------------ architecture

# The layers, lowest first; who may use whom; and which layer implements which
# public header (the nouns of include/kin).  `make check` reads all three.
# Do not edit them to make a check pass.
LAYERS := asm core dispatch job
USES   := core>asm dispatch>core job>core job>dispatch
PUBLIC := core:analyze,error,fiber,lock,stack,task,time
PUBLIC += dispatch:dispatcher,main,main_android
PUBLIC += job:checkpoint,context,continuation,deferred,dump,job,kin,launch,scope,test,timeout

# Above the limits of check-tidy, and allowed: these lists only shrink.
LONG_FILES     :=
LONG_FUNCTIONS :=

# The one file that may define a thread-local variable, and the one that looks
# at the environment.
THREAD_LOCAL := core/thread.c
ENVIRONMENT  := core/environment.c

# ------------------------------------------------------------- test matrix

# What `make check` runs; with ALL=1 also what takes as long again.
MATRIX ?= $(if $(HARD),$(MATRIX_HARD),$(MATRIX_USUAL))
MATRIX_USUAL := gcc gcc-seeds gcc-debug gcc-lto hardened clang asan tsan boost \
                arm64 arm64-16k arm64-64k valgrind refuse hard \
                $(if $(ALL),$(MATRIX_MORE))
MATRIX_MORE := clang-debug hard-slot refuse-asan

# What `make check HARD=1` runs: without the LIFO slot, then with it.
MATRIX_HARD := hard hard-slot $(if $(ALL),hard-asan hard-tsan)

ROW_gcc         := CC=gcc
ROW_gcc-seeds   := CC=gcc RUN=seeds
ROW_asan-seeds  := CC=gcc SAN=address,undefined RUN=seeds
ROW_tsan-seeds  := CC=gcc SAN=thread RUN=seeds
ROW_gcc-debug   := CC=gcc DEBUG=1
ROW_gcc-lto     := CC=gcc LTO=1
ROW_hardened    := CC=gcc HARDENED=1 CPPFLAGS=-DKIN__THREAD_KEY=1
ROW_hard        := CC=gcc HARD=1
ROW_hard-slot   := CC=gcc HARD=2
ROW_hard-asan   := CC=gcc HARD=1 SAN=address,undefined
ROW_hard-tsan   := CC=gcc HARD=1 SAN=thread
ROW_clang       := CC=clang
ROW_clang-debug := CC=clang DEBUG=1
ROW_asan        := CC=gcc SAN=address,undefined
ROW_tsan        := CC=gcc SAN=thread
ROW_boost       := CC=gcc CONTEXT=boost
ROW_arm64       := CC=gcc CROSS=aarch64-linux-gnu-
ROW_arm64-16k   := CC=gcc CROSS=aarch64-linux-gnu- PAGE=16384
ROW_arm64-64k   := CC=gcc CROSS=aarch64-linux-gnu- PAGE=65536
ROW_valgrind    := CC=gcc RUN=valgrind
ROW_refuse      := CC=gcc RUN=refuse
ROW_refuse-asan := CC=gcc RUN=refuse SAN=address,undefined

# Not in the matrix: what `make fuzz` builds.
ROW_fuzz        := CC=clang SAN=fuzzer-no-link,address,undefined

# The tests that run under Valgrind too.
VALGRIND_TESTS ?= core_fiber* core_stack_test core_stack_use_test \
                  core_stack_stress dispatch_main* job_scope* job_job*

# The tests of scenarios that run on one thread, each in many orders; and which.
# Under a sanitizer that takes minutes, so it is not part of MATRIX.
SEEDS_TESTS ?= job_*_test job_*_sim
SEEDS_CHECK ?= 1-200

# But not those that take their time, whatever the order.
SEEDS_NOT := job_signals_test job_million_test job_million_queued_test

# The tests that run with each call refused that the system may refuse
# (tests/check_refuse.h); but those that refuse calls themselves or take their
# time do not, nor drawn programs on threads: none makes the same calls twice.
REFUSE_TESTS ?= $(filter-out job_memory_test job_threads_test job_signals_test \
                job_blocked_test job_million_test job_million_queued_test \
                job_limits_test job_threads_fuzz_test, \
                $(basename $(notdir $(wildcard tests/job_*_test.c))))

# Where only the machine is another (the library inlined into the program, the
# switch Boost's, the thread found by a key, bigger pages): those whose fibers
# change stacks or threads a lot.  All of them with ALL=1.
MACHINE_TESTS ?= asm_* core_* dispatch_* *_stress job_context_fiber* \
                 job_continuation* job_deferred* job_main_test job_memory* \
                 job_run_blocking* job_scope_blocks* job_signals* job_slice* \
                 job_threads* job_timeout* job_yield*

# TESTS="job_* core_fiber_test" restricts which test programs are built and run
# (one * in a word).
TESTS ?= *

ifdef ROW
  ifeq ($(origin ROW_$(ROW)),undefined)
    $(error ROW=$(ROW): no such row; there are: $(patsubst ROW_%,%,$(filter ROW_%,$(.VARIABLES))))
  endif
  $(foreach v,$(ROW_$(ROW)),$(eval override $(v)))
endif

# ----------------------------------------------------------- configuration

VERSION := 0.1.0
SOMAJOR := 0

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BUILD  ?= build
WERROR ?= $(CI)

ifeq ($(origin CC),default)
  CC := gcc
endif
ifdef ANDROID_NDK
  include tools/android.mk
endif
comma    := ,
COMPILER := $(notdir $(lastword $(CC)))
IS_CLANG := $(findstring clang,$(COMPILER))
CPU      := $(or $(ANDROID_CPU),$(firstword $(subst -, ,$(CROSS))),$(shell uname -m))
CONFIG   := $(if $(ANDROID_CPU),android$(API)-$(ABI),$(CPU)-$(COMPILER))$(if $(DEBUG),-debug)$(if $(HARDENED),-hardened)$(HARD:%=-hard%)$(if \
              $(LTO),-lto)$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if \
              $(CONTEXT),-$(CONTEXT))$(if $(WERROR),-werror)
O        := $(BUILD)/$(CONFIG)

ifneq ($(CROSS),)
  ifeq ($(IS_CLANG),)
    override CC := $(CROSS)$(CC)
  else
    override CC := $(CC) --target=$(patsubst %-,%,$(CROSS))
  endif
endif
AR := $(CROSS)$(if $(LTO),gcc-)ar
NM := $(CROSS)nm
ifdef ANDROID_NDK
  override CC := $(CC) $(ANDROID_TARGET)
  AR := $(NDK_BIN)/llvm-ar
  NM := $(NDK_BIN)/llvm-nm
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
ifeq ($(IS_CLANG),)
  # C11 fences under TSan: the code that needs one says so to TSan itself.
  WARN += $(if $(filter thread,$(SAN)),-Wno-tsan)
else
  # GNU C is what our macros are written in.
  WARN += -Wno-gnu-statement-expression -Wno-gnu-zero-variadic-macro-arguments
endif
WARN += $(if $(WERROR),-Werror)

OPT := $(if $(DEBUG),-O0 -g3 -DKIN_DEBUG=1,$(if $(SAN),-O1,-O2) -g)

PTHREAD     := $(if $(ANDROID_CPU),,-pthread)
BASE_CFLAGS := -std=gnu17 -fPIC -fvisibility=hidden -fno-semantic-interposition \
               $(PTHREAD) $(WARN) $(OPT)
BASE_CPPFLAGS := -I. -Iinclude -D_GNU_SOURCE
BASE_LDFLAGS := $(PTHREAD) -Wl,-z,now -Wl,-z,relro \
                $(if $(WERROR),-Wl$(comma)--fatal-warnings)
LIBS   := $(if $(ANDROID_CPU),-landroid -ldl)
SONAME := libkin.so$(if $(ANDROID_CPU),,.$(SOMAJOR))

# The biggest page of the system that the library is mapped on.
PAGE_MAX := $(if $(ANDROID_CPU),16384,$(if $(filter aarch64,$(CPU)),65536))
BASE_LDFLAGS += $(PAGE_MAX:%=-Wl$(comma)-z$(comma)max-page-size=%)

# Landing pads for indirect branches.  No shadow stacks: a switch of stacks
# does not honour them, and the property note must not claim otherwise.
ifeq ($(CPU),x86_64)
  # gcc fills and copies structs of some hundred bytes by `rep stos` and `rep
  # movs`, which take longer to begin than a launch takes.
  FILLS        := unrolled_loop:512:noalign,libcall:-1:noalign
  INLINE_FILLS := $(if $(IS_CLANG),,-mmemset-strategy=$(FILLS) \
                  -mmemcpy-strategy=$(FILLS))
  # The inlined switch writes where a red zone would be (asm/switch.h).
  BASE_CFLAGS  += -mno-red-zone $(INLINE_FILLS)
  BASE_CFLAGS  += -fcf-protection=branch -fstack-clash-protection
endif
ifeq ($(CPU),aarch64)
  BASE_CFLAGS  += -mbranch-protection=standard
  BASE_CFLAGS  += $(if $(IS_CLANG),,-fstack-clash-protection)
  TEST_START   := $(O)/tests/start_aarch64.o
  # The linker warns of what libgcc.a and libc_nonshared.a do not claim.
  TEST_LDFLAGS := -nostartfiles -Wl,-z,force-bti -Wl,--no-fatal-warnings
  TEST_FILTER  := 2> >(grep -v 'BTI turned on by -z force-bti' >&2)
endif
ifdef SAN
  BASE_CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer \
                  -fno-sanitize-recover=all
  BASE_LDFLAGS += -fsanitize=$(SAN)
else
  SO_LDFLAGS   += -Wl,-z,defs
endif
ifdef HARD
  BASE_CPPFLAGS += -DKIN_HARD=$(HARD)
endif
ifdef HARDENED
  BASE_CFLAGS  += -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
                  -fstack-clash-protection
endif
ifdef LTO
  BASE_CFLAGS  += -flto
  BASE_LDFLAGS += -flto=auto -O2
endif
ifeq ($(CONTEXT),boost)
  BASE_CPPFLAGS += -DKIN_CONTEXT_BOOST=1
  LIBS          += -lboost_context
else ifneq ($(CONTEXT),)
  $(error CONTEXT=$(CONTEXT): only boost is known)
endif

# One word and one name per step; V=1 shows the commands.
silent = $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(V),,@$(if $(silent),,printf '  %-4s %s\n' $(1) $(2);))

COMPILE = $(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS)
LINK    = $(CC) $(BASE_LDFLAGS) $(LDFLAGS)

# Packages a target needs, as package=command or package=file.
NEED_CC := $(if $(ANDROID_NDK),,$(if $(CROSS),gcc-$(subst _,-,$(patsubst %-,%,$(CROSS)))=$(CROSS)gcc \
             libc6-dev-arm64-cross=/usr/aarch64-linux-gnu/include/stdio.h) \
           $(if $(IS_CLANG),clang=$(COMPILER),$(if $(CROSS),,gcc=$(COMPILER))) \
           libc6-dev=/usr/include/stdio.h \
           $(if $(and $(IS_CLANG),$(SAN)),libclang-rt-dev=/usr/lib/llvm-*/lib/clang/*/lib/linux) \
           $(if $(CONTEXT),libboost-context-dev=/usr/lib/*/libboost_context.so))
NEED_SSL := libssl-dev=/usr/include/openssl/evp.h
NEED_UV  := libuv1-dev=/usr/include/uv.h
NEED_TEST := $(if $(CROSS),qemu-user=qemu-$(CPU) \
               g++-$(subst _,-,$(CROSS:%-=%))=$(CROSS)g++,$(NEED_SSL) $(NEED_UV) \
               g++=g++ gdb=gdb python3=python3 valgrind=valgrind) \
             $(if $(filter valgrind,$(RUN)),valgrind=valgrind)
NEED_CHECK := gcc=gcc g++=g++ clang=clang
NEED_ANDROID := clang=clang gcc-aarch64-linux-gnu=aarch64-linux-gnu-gcc \
             libc6-dev-arm64-cross=/usr/aarch64-linux-gnu/include/stdio.h

# ------------------------------------------------------------------- files

sources = $(wildcard $(1)/*.c $(1)/*.S)
objects = $(patsubst %,$(O)/%.o,$(basename $(1)))

$(foreach L,$(LAYERS),$(eval OBJ_$(L) := $(call objects,$(call sources,$(L)))))
SRC  := $(foreach L,$(LAYERS),$(call sources,$(L)))
HDR  := $(foreach L,$(LAYERS),$(wildcard $(L)/*.h))
API  := $(wildcard include/kin/*.h)
OBJ  := $(foreach L,$(LAYERS),$(OBJ_$(L)))
ALL_TEXT := Makefile $(SRC) $(HDR) $(API) $(foreach d,tests bench examples \
            docs tools .ci,$(wildcard $(d)/* $(d)/*/*))

# Examples use the public headers and libkin.a only: a file each, or a folder.
EXAMPLE_SRC := $(wildcard examples/*.c)
EXAMPLE_DIR := $(patsubst examples/%/,%,$(sort $(dir $(wildcard examples/*/*.c))))
EXAMPLES := $(patsubst examples/%.c,$(O)/bin/%,$(EXAMPLE_SRC)) \
            $(EXAMPLE_DIR:%=$(O)/bin/%)

# A test program is named after the layer up to which it is linked.
wanted      = $(strip $(foreach t,$(1),$(if $(filter $(subst *,%,$(TESTS)),\
              $(basename $(notdir $(t)))),$(t))))
TEST_SRC   := $(call wanted,$(filter-out $(if $(HARD),,%_hard_test.c),\
              $(wildcard tests/*_test.c tests/*_stress.c tests/*_sim.c)))
TEST_BIN   := $(TEST_SRC:tests/%.c=$(O)/tests/%)
SHELL_TEST := $(call wanted,$(wildcard tests/*_test.sh))
FUZZ_BIN   := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/*_fuzz.c))

DEP := $(OBJ:.o=.d) $(TEST_BIN:=.d) $(O)/tests/check.d \
       $(O)/tests/check_refuse.d $(FUZZ_BIN:=.d) \
       $(patsubst %.c,$(O)/%.d,$(EXAMPLE_SRC) $(wildcard examples/*/*.c))

# Parallel unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
  MAKEFLAGS += -j$(shell nproc)
endif
ifneq ($(filter clean,$(MAKECMDGOALS)),)
  .NOTPARALLEL:
endif
.DELETE_ON_ERROR:

# ----------------------------------------------------------------- library

.PHONY: explore all
all: $(O)/libkin.a $(O)/libkin.so ## the library (the default): libkin.a and libkin.so

# What the objects were compiled with; they follow when it changes.
$(O)/flags: FORCE
	@tools/need.sh $(NEED_CC)
	@mkdir -p $(@D)
	@echo '$(COMPILE) :: $(LINK)' | cmp -s - $@ || \
	 echo '$(COMPILE) :: $(LINK)' > $@
.PHONY: FORCE

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(OBJ_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.o: %.S $(O)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<)$(COMPILE) -MMD -MP -c $< -o $@

# A fiber may resume on another thread while a compiler that sees through this
# file keeps the address of the old thread's variable.
$(O)/$(THREAD_LOCAL:.c=.o): OBJ_CFLAGS := -fno-lto

$(O)/libkin.a: $(OBJ)
	@rm -f $@
	$(call say,AR,$@)$(AR) rcs $@ $^

$(O)/libkin.so: $(OBJ) tools/exports.map
	$(call say,LD,$@)$(LINK) $(SO_LDFLAGS) -shared -Wl,-soname,$(SONAME) \
	  -Wl,--version-script=tools/exports.map $(OBJ) $(LIBS) -o $@
	$(if $(ANDROID_CPU),,@ln -sf libkin.so $@.$(SOMAJOR))

-include $(wildcard $(DEP))

# ------------------------------------------- examples, benchmarks, install

.PHONY: examples run install uninstall
examples: $(EXAMPLES) ## the examples, in build/<configuration>/bin

need-%:
	@tools/need.sh $(NEED_$*)

$(patsubst examples/%.c,$(O)/bin/%,$(EXAMPLE_SRC)): $(O)/bin/%: \
    $(O)/examples/%.o $(O)/libkin.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ $(EXAMPLE_LIBS) $(LIBS) -lm -o $@

define example_dir
$(O)/bin/$(1): $(patsubst %.c,$(O)/%.o,$(wildcard examples/$(1)/*.c)) \
               $(O)/libkin.a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(LINK) $$^ $$(EXAMPLE_LIBS) $$(LIBS) -lm -o $$@
endef
$(foreach d,$(EXAMPLE_DIR),$(eval $(call example_dir,$(d))))

$(O)/bin/kinsum: EXAMPLE_LIBS := -lcrypto
$(patsubst %.c,$(O)/%.o,$(wildcard examples/kinsum/*.c)): | need-SSL
$(filter $(O)/bin/libuv_%,$(EXAMPLES)): EXAMPLE_LIBS := -luv
$(patsubst %.c,$(O)/%.o,$(wildcard examples/libuv_*.c)): | need-UV

run: $(O)/bin/kinsum ## kinsum on this repository, compared with sha256sum
	examples/kinsum/run.sh $<

include $(wildcard bench/bench.mk)

DEST = $(DESTDIR)$(PREFIX)
DESTLIB = $(DESTDIR)$(LIBDIR)
install: all ## headers, libraries and kin.pc, to PREFIX= under DESTDIR=
	install -d $(DEST)/include/kin $(DESTLIB)/pkgconfig
	install -m 644 $(API) $(DEST)/include/kin
	install -m 644 $(O)/libkin.a $(DESTLIB)
	install -m 755 $(O)/libkin.so $(DESTLIB)/libkin.so.$(VERSION)
	ln -sf libkin.so.$(VERSION) $(DESTLIB)/libkin.so.$(SOMAJOR)
	ln -sf libkin.so.$(SOMAJOR) $(DESTLIB)/libkin.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' \
	    tools/kin.pc.in > $(DESTLIB)/pkgconfig/kin.pc

uninstall: ## removes what install put there
	rm -rf $(DEST)/include/kin
	rm -f $(DESTLIB)/libkin.a $(DESTLIB)/libkin.so \
	  $(DESTLIB)/libkin.so.$(SOMAJOR) $(DESTLIB)/libkin.so.$(VERSION) \
	  $(DESTLIB)/pkgconfig/kin.pc

.PHONY: clean help
clean: ## removes the build directory
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' \
	  Makefile $(wildcard bench/bench.mk)
	@echo; sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

# ------------------------------------------------------------------- tests

.PHONY: check test test-programs
$(TEST_BIN): private SHELL := $(if $(TEST_FILTER),/bin/bash,/bin/sh)
$(TEST_BIN): $(O)/tests/%: $(O)/tests/%.o $(O)/tests/check.o $(O)/tests/check_refuse.o \
             $(TEST_START)
	$(call say,LD,$@)$(LINK) $(TEST_LDFLAGS) $(filter %.o,$^) $(LIBS) -lm -o $@ \
	  $(TEST_FILTER)

$(filter $(O)/tests/asm_%,$(TEST_BIN)): $(OBJ_asm)
$(filter $(O)/tests/core_%,$(TEST_BIN)): $(OBJ_asm) $(OBJ_core)
$(filter $(O)/tests/dispatch_%,$(TEST_BIN)): $(OBJ_asm) $(OBJ_core) \
                                             $(OBJ_dispatch)
$(filter-out $(O)/tests/asm_% $(O)/tests/core_% $(O)/tests/dispatch_%,\
  $(TEST_BIN)): $(OBJ)

# The example for Android has no JNI but the tests'.
$(O)/tests/job_android_test.o: OBJ_CFLAGS := -isystem tests/android

# How the programs of this configuration are started, how much slower they
# are than natively, and which of them.
RUN_PREFIX := $(if $(SAN),$(shell setarch -R true 2>/dev/null && \
                                  echo setarch -R))
SLOWDOWN   := 1
RUN_BIN    := $(TEST_BIN)
ifneq ($(SAN),)
  SLOWDOWN := 4
endif
ifeq ($(CPU),aarch64)
  ifneq ($(CROSS),)
    # Return addresses are signed, but not by the architecture's cipher: that
    # is most of the time when it is emulated.
    RUN_PREFIX := qemu-aarch64 -cpu max$(comma)pauth-impdef=on -L /usr/aarch64-linux-gnu
    SLOWDOWN   := 10
  endif
endif
ifeq ($(RUN),valgrind)
  RUN_PREFIX := valgrind -q --error-exitcode=99 --fair-sched=yes
  SLOWDOWN   := 20
  RUN_BIN    := $(filter $(patsubst %,$(O)/tests/%,$(subst *,%,$(VALGRIND_TESTS))),\
                $(TEST_BIN))
endif

ifneq ($(if $(ALL),,$(LTO)$(HARDENED)$(CONTEXT)$(PAGE)),)
  RUN_BIN    := $(filter $(patsubst %,$(O)/tests/%,$(subst *,%,$(MACHINE_TESTS))),\
                $(TEST_BIN))
endif
ifeq ($(RUN),seeds)
  RUN_OPTION := --seeds=$(SEEDS_CHECK)
  RUN_BIN    := $(filter $(patsubst %,$(O)/tests/%,$(subst *,%,$(SEEDS_TESTS))),\
                $(filter-out $(SEEDS_NOT:%=$(O)/tests/%),$(TEST_BIN)))
endif
ifeq ($(RUN),refuse)
  ABORTS     := :abort_on_error=1
  RUN_BIN    := $(filter $(patsubst %,$(O)/tests/%,$(REFUSE_TESTS)),$(TEST_BIN))
endif

# With bigger pages: all but what takes its time for the sake of threads, or of
# every call that can fail.
ifdef PAGE
  RUN_BIN := $(filter-out %_stress %_sim %/job_memory_test,$(RUN_BIN))
endif

# The shell tests and the examples belong to the plain configurations; the
# shell tests run once, with gcc, but for those of C++.
PLAIN := $(if $(CROSS)$(SAN)$(LTO)$(DEBUG)$(CONTEXT)$(RUN)$(HARDENED)$(HARD)$(PAGE),,yes)
RUN_SHELL := $(if $(PLAIN),$(if $(IS_CLANG),,$(SHELL_TEST)))

# Those compile and run C++ programs; on the other CPU, too.
CXX_TESTS := tests/kin_cplusplus_test.sh tests/kin_exceptions_test.sh
ifneq ($(CROSS),)
  CXX_FLAGS := $(filter -mbranch%,$(BASE_CFLAGS)) $(TEST_LDFLAGS) $(TEST_START)
  RUN_SHELL += $(if $(PAGE),,$(filter $(CXX_TESTS),$(SHELL_TEST)))
endif

# Seconds for the programs of one configuration, and for all of `make check`.
TEST_TIME  ?= 900
CHECK_TIME ?= 4800

test-programs: $(RUN_BIN) $(if $(RUN_SHELL),all $(TEST_START)) \
               $(if $(RUN_SHELL)$(filter *,$(TESTS)),$(if $(PLAIN),$(EXAMPLES)))

SEEDS ?= 1000
explore: | need-TEST ## one test in many interleavings: TEST=job_tree_sim SEEDS=1000
	$(if $(TEST),,$(error TEST= which? job_family_test, or another of $(SEEDS_TESTS)))
	+@$(MAKE) -s $(O)/tests/$(TEST)
	@tools/explore.sh $(O)/tests/$(TEST) $(SEEDS)

# Fuzz targets: libFuzzer brings main().
$(FUZZ_BIN): $(O)/tests/%: $(O)/tests/%.o $(OBJ)
	$(call say,LD,$@)$(LINK) -fsanitize=fuzzer $^ $(LIBS) -lm -o $@

# Seconds, for all of them.
FUZZ_TIME ?= 60

.PHONY: fuzz fuzz-run
fuzz: ## drawn programs against models: FUZZ_TIME=600; KEEP=1 keeps what is new
	+@$(MAKE) --no-print-directory -s ROW=fuzz fuzz-run

fuzz-run: $(FUZZ_BIN)
	@FUZZ_SEED=$(if $(CI),1,0) tools/fuzz.sh $(FUZZ_TIME) $(BUILD)/fuzz \
	  $(FUZZ_BIN)

# Races run as often as they say with gcc, under ThreadSanitizer and in hard
# mode, elsewhere a quarter of that.
RACE_SHARE := $(if $(PLAIN),$(if $(IS_CLANG),4,1),$(if $(HARD)$(filter thread,$(SAN)),1,4))

# The soak is long where it is fast, and once.
SOAK_SECONDS ?= $(if $(PLAIN),$(if $(IS_CLANG),4,$(if $(CI),60,4)),4)

test: | need-TEST test-programs ## builds and runs the tests of one configuration
	$(if $(TEST_SRC)$(SHELL_TEST),,$(error TESTS=$(TESTS): there are none))
	@O=$(O) SAME="BUILD=$(BUILD) CC=$(if $(CROSS),$(COMPILER) CROSS=$(CROSS),$(CC)) WERROR=$(WERROR)" \
	 GXX="$(CROSS)g++ $(CXX_FLAGS)" \
	 CLANGXX="clang++ $(CROSS:%-=--target=%) $(CXX_FLAGS)" \
	 $(if $(filter refuse,$(RUN)),KIN_REFUSE=1) \
	 PREFIX_COMMAND="$(RUN_PREFIX)" OPTION=$(RUN_OPTION) TEST_TIME=$(TEST_TIME) \
	 KIN_TEST_SLOWDOWN=$(SLOWDOWN) KIN_TEST_PAGE=$(PAGE) \
	 KIN_SOAK_SECONDS=$(SOAK_SECONDS) KIN_TEST_SHARE=$(RACE_SHARE) TESTS='$(TESTS)' \
	 ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1$(ABORTS) \
	 UBSAN_OPTIONS=print_stacktrace=1$(ABORTS) TSAN_OPTIONS=second_deadlock_stack=1:die_after_fork=0:atexit_sleep_ms=0 \
	 tools/run-tests.sh $(or $(ROW),$(CONFIG)) $(O)/log$(RUN:%=-%)$(PAGE:%=-%) \
	   $(RUN_BIN) $(RUN_SHELL)

.PHONY: million soak stress
million: ## a million fibers, ten million jobs: their memory, and that it comes back
	+@$(MAKE) -s $(O)/tests/job_million_test $(O)/tests/job_million_queued_test
	@KIN_MILLION=1000000 $(O)/tests/job_million_test
	@KIN_MILLION=1000000 $(O)/tests/job_million_queued_test

stress: ## each race of the stress tests 100000 times, under ThreadSanitizer
	+@KIN_TEST_ROUNDS=100000 $(MAKE) --no-print-directory ROW=tsan \
	  TESTS='*_stress' TEST_TIME=7200 test

soak: ## everything at once, for KIN_SOAK_SECONDS= (600): do the books balance?
	+@$(MAKE) -s $(O)/tests/job_soak_stress
	@KIN_SOAK_SECONDS=$(or $(KIN_SOAK_SECONDS),600) $(O)/tests/job_soak_stress

CHECKS ?= check-layers check-symbols check-headers check-orders check-tidy \
          check-tls check-env check-android check-words analyze bench-check \
          models fuzz

check: ## everything: the checks of the source, and the tests in all of MATRIX=; ALL=1: more; HARD=1: in hard mode
	@tools/need.sh $(NEED_CHECK)
	@MAKE="$(MAKE)" BUILD=$(BUILD) TESTS='$(TESTS)' \
	 TEST_TIME=$(TEST_TIME) CHECK_TIME=$(CHECK_TIME) \
	 tools/check.sh "$(if $(HARD),,$(CHECKS))" "$(MATRIX)"

# --------------------------------------------------- checks of the source

.PHONY: $(CHECKS) symbols

check-layers: ## includes point downwards, and public headers have a layer
	@awk -v layers="$(LAYERS)" -v uses="$(USES)" -v public="$(PUBLIC)" \
	  -f tools/layers.awk $(SRC) $(HDR) $(API) $(EXAMPLE_SRC) \
	  $(wildcard examples/*/*.[ch]) /dev/null

check-symbols: $(O)/libkin.so ## symbols point downwards; only docs/symbols.txt is exported
	@NM=$(NM) LD=$(CROSS)ld tools/symbols.sh $(O) "$(LAYERS)"
	@NM=$(NM) tools/symbols.sh --exports $(O)/libkin.so | \
	 diff -u docs/symbols.txt - || { echo "make symbols, if this is meant"; \
	 exit 1; }

symbols: $(O)/libkin.so ## writes docs/symbols.txt anew
	NM=$(NM) tools/symbols.sh --exports $(O)/libkin.so > docs/symbols.txt

check-headers: ## every header compiles alone; the public ones as C17 and C++17
	@tools/headers.sh "$(API)" "$(HDR)"

check-orders: ## every acquire, release or stronger names its partner
	@awk -f tools/orders.awk $(filter %.c,$(SRC)) $(HDR) /dev/null

check-tidy: ## sizes of files, functions and lines
	@awk -v long_files="$(LONG_FILES)" -v long_functions="$(LONG_FUNCTIONS)" \
	  -f tools/tidy.awk $(SRC) $(HDR) $(API) /dev/null

check-tls: ## thread-local variables live in one file
	@! grep -nE '^[^*]*\b(_Thread_local|__thread|thread_local)\b' \
	  $(filter-out $(THREAD_LOCAL),$(SRC) $(HDR) $(API)) /dev/null

check-env: ## the environment is looked at in one file
	@! grep -nE '\b(secure_getenv|getenv|environ)\b' \
	  $(filter-out $(ENVIRONMENT),$(SRC) $(HDR) $(API)) /dev/null

check-android: ## for Android: every source compiles, and needs only what is there
	@tools/need.sh $(NEED_ANDROID)
	@tools/ndk-double.sh $(abspath $(BUILD))/ndk 24
	+@for abi in arm64-v8a x86_64; do \
	   to=$(BUILD)/android24-$$abi-werror; \
	   make="$(MAKE) -s ROW= API=24 WERROR=1 \
	     ANDROID_NDK=$(abspath $(BUILD))/ndk ABI=$$abi"; \
	   $$make $$to/libkin.a && tools/android.sh $$to $$abi 24 && \
	   $$make all || exit 1; done

check-words: ## no leftover marks, no names that POSIX owns
	@! grep -d skip -nE '\bXX[X]\b|FIX[M]E' $(ALL_TEXT) /dev/null 2>/dev/null
	@! grep -d skip -nE '\bkin_[a-z0-9_]*_t\b' $(SRC) $(HDR) $(API) /dev/null

MODELS := $(foreach L,$(LAYERS),$(filter-out core/weak.pml,$(wildcard $(L)/*.pml)))
models: ## the hardest protocols, every interleaving of them, by spin
	@tools/need.sh spin=spin gcc=gcc
	@tools/models.sh $(BUILD)/models $(MODELS)

analyze: ## clang proves who may suspend, who holds which spinlock; FIX=1 marks
	@tools/need.sh clang=clang $(if $(EXAMPLES),$(NEED_SSL) $(NEED_UV))
	@tools/suspends.sh $(if $(FIX),--fix) $(BASE_CPPFLAGS) \
	  -isystem tests/android -- \
	  $(filter %.c,$(SRC)) $(wildcard examples/*.c examples/*/*.c bench/*.c \
	  tests/*.[ch])
