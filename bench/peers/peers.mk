# peers.mk -- builds the peers whose packages are there; see
# bench/peers/README.md.  One that cannot be built for want of its packages is
# said to be absent, here and by bench/run; `make bench-deps` installs them.

PEER_OUT := $(BENCH_OUT)/peers
PEER_ALL := $(shell sed '/^\#/d; s/ .*//' bench/peers/list)
PEER_WANTED := $(if $(filter undefined,$(origin PEERS)),$(PEER_ALL),\
               $(filter $(PEER_ALL),$(subst $(comma), ,$(PEERS))))

# What each needs, as package=proof for tools/need.sh.
PEER_BOOST  := g++=g++ libboost-context-dev=/usr/lib/*/libboost_context.so
PEER_CRATES := /usr/share/cargo/registry

NEED_PEER_fcontext    := $(PEER_BOOST)
NEED_PEER_callcc      := $(PEER_BOOST)
NEED_PEER_ucontext    := gcc=gcc libc6-dev=/usr/include/ucontext.h
NEED_PEER_pthreads    := gcc=gcc libc6-dev=/usr/include/pthread.h
NEED_PEER_pth         := gcc=gcc libpth-dev=/usr/include/pth.h
NEED_PEER_st          := gcc=gcc libst-dev=/usr/include/st.h
NEED_PEER_boost-fiber := $(PEER_BOOST) \
                         libboost-fiber-dev=/usr/lib/*/libboost_fiber.so
NEED_PEER_libuv       := gcc=gcc libuv1-dev=/usr/include/uv.h
NEED_PEER_go          := golang-go=go
NEED_PEER_tokio       := cargo=/usr/bin/cargo rustc=/usr/bin/rustc \
                         librust-tokio-dev=$(PEER_CRATES)/tokio-1*
NEED_PEER_kotlinx     := kotlin=kotlinc default-jre-headless=java \
                         libkotlinx-coroutines-java=/usr/share/java/kotlinx-coroutines-core.jar \
                         libkotlinx-atomicfu-java=/usr/share/java/atomicfu.jar

NEED_PEERS := $(sort $(foreach p,$(PEER_ALL),$(NEED_PEER_$(p))))

.PHONY: bench-peers $(PEER_ALL:%=peer-%) $(PEER_ALL:%=peer-%-built)
bench-peers: $(PEER_WANTED:%=peer-%)

$(PEER_ALL:%=peer-%): peer-%:
	@if tools/need.sh --ask $(NEED_PEER_$*); then \
	   $(MAKE) --no-print-directory peer-$*-built; \
	 else \
	   rm -f $(PEER_OUT)/$*; echo "  --   $*: absent"; fi

$(PEER_ALL:%=peer-%-built): peer-%-built: $(PEER_OUT)/%
	@:

# ----------------------------------------------------------- in C and C++

PEER_FLAGS := -O2 -DNDEBUG -Wall -Wextra -Wno-missing-field-initializers \
              -D_GNU_SOURCE -I. -pthread -Wl,-z,now
PEER_C     := $(patsubst bench/peers/%.c,$(PEER_OUT)/%,$(wildcard bench/peers/*.c))
PEER_CXX   := $(patsubst bench/peers/%.cpp,$(PEER_OUT)/%,$(wildcard bench/peers/*.cpp))
PEER_HEADERS := $(wildcard bench/peers/*.h) bench/float_flags.h

$(PEER_OUT)/fcontext $(PEER_OUT)/callcc: PEER_LIBS := -lboost_context
$(PEER_OUT)/boost-fiber: PEER_LIBS := -lboost_fiber -lboost_context
$(PEER_OUT)/ucontext: PEER_LIBS := -lm
$(PEER_OUT)/pth:   PEER_LIBS := -lpth
$(PEER_OUT)/libuv: PEER_LIBS := -luv
$(PEER_OUT)/st:    PEER_LIBS  = -lst -DST_VERSION='"$(shell \
  sed -n 's/^Version: *//p' /usr/lib/pkgconfig/st.pc)"'

$(PEER_C): $(PEER_OUT)/%: bench/peers/%.c $(PEER_HEADERS) bench/peers/peers.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)gcc -std=gnu17 $(PEER_FLAGS) $< $(PEER_LIBS) -o $@

$(PEER_CXX): $(PEER_OUT)/%: bench/peers/%.cpp $(PEER_HEADERS) bench/peers/peers.mk
	@mkdir -p $(@D)
	$(call say,CXX,$<)g++ -std=gnu++17 $(PEER_FLAGS) $< $(PEER_LIBS) -o $@

# ---------------------------------------------------------------------- Go

$(PEER_OUT)/go: $(wildcard bench/peers/go/*) bench/peers/peers.mk
	@mkdir -p $(@D)
	$(call say,GO,$@)cd bench/peers/go && \
	  GOCACHE=$(abspath $(PEER_OUT))/go.cache GOFLAGS= \
	  go build -trimpath -o $(abspath $@) .

# ------------------------------------------------------------------- Tokio

# Built from a copy, as cargo writes beside the sources; from Debian's crates.
PEER_CARGO = cd $(PEER_OUT)/tokio.build && CARGO_HOME=$$PWD/home \
  RUSTC=/usr/bin/rustc RUSTFLAGS= \
  TOKIO_VERSION=$(patsubst $(PEER_CRATES)/tokio-%,%,\
    $(lastword $(sort $(wildcard $(PEER_CRATES)/tokio-[0-9]*)))) \
  /usr/bin/cargo build --quiet --release --offline --target-dir target \
    --config 'source.crates-io.replace-with="debian"' \
    --config 'source.debian.directory="$(PEER_CRATES)"'

$(PEER_OUT)/tokio: $(wildcard bench/peers/tokio/*) bench/peers/peers.mk
	@mkdir -p $(PEER_OUT)/tokio.build
	@cp bench/peers/tokio/* $(PEER_OUT)/tokio.build
	$(call say,RUST,$@)$(PEER_CARGO)
	@cp $(PEER_OUT)/tokio.build/target/release/tokio $@

# ------------------------------------------------------ kotlinx.coroutines

PEER_JARS := /usr/share/java/kotlinx-coroutines-core.jar

$(PEER_OUT)/kotlinx.jar: $(wildcard bench/peers/kotlinx/*.kt) bench/peers/peers.mk
	@mkdir -p $(@D)
	$(call say,KOT,$@)kotlinc -nowarn -cp $(PEER_JARS) -d $@ $(filter %.kt,$^) \
	  2>&1 | grep -v -e -noverify; [ -e $@ ]

$(PEER_OUT)/kotlinx: bench/peers/kotlinx/start.sh $(PEER_OUT)/kotlinx.jar
	@install -m 755 $< $@
