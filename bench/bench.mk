# bench.mk -- the benchmark suite; see bench/README.md.
#
#   W=W1,W3      these workloads        QUICK=1      small, 3 rounds
#   PEERS=go,st  these peers; none: PEERS=           ROUNDS=n
#   MERGE=1      keeps the results of other cases in build/bench
#   NICE=-20     for a machine that is busy otherwise; as root

BENCH_OUT := $(BUILD)/bench
BENCHES   := $(patsubst bench/%.c,$(O)/bench/%,$(wildcard bench/w*.c))

NEED_BENCH := python3=python3
NEED_HOT_PATHS := $(NEED_BENCH) valgrind=valgrind binutils=readelf
NEED_BENCH_DEPS := $(NEED_BENCH) gnuplot-nox=gnuplot valgrind=valgrind

-include $(wildcard bench/peers/peers.mk)
-include $(wildcard $(BENCHES:=.d) $(O)/bench/*.d)

.PHONY: bench bench-deps bench-kin bench-peers bench-publish bench-check \
        bench-budget bench-profile bench-page
$(O)/bench/harness.o: OBJ_CFLAGS := -DBENCH_VERSION='"$(VERSION)"'
$(BENCHES): $(O)/bench/%: $(O)/bench/%.o $(O)/bench/harness.o $(O)/bench/gauge.o \
             $(O)/libkin.a
	$(call say,LD,$@)$(LINK) $^ $(LIBS) -lm -o $@

bench-kin: $(BENCHES)

BENCH_RUN = bench/run --kin $(O)/bench --peers $(BENCH_OUT)/peers \
            --out $(BENCH_OUT)

bench: $(BENCHES) bench-peers | need-BENCH ## measures kin and its peers: W=W1,W3 QUICK=1 PEERS=go
	@$(BENCH_RUN) --workloads "$(W)" $(if $(QUICK),--quick) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MERGE),--merge) $(if $(NICE),--nice $(NICE)) \
	  $(if $(filter undefined,$(origin PEERS)),,--only "$(PEERS)")

# Instructions are those of one compiler, on one CPU.
HOT_PATHS := $(if $(CROSS)$(SAN)$(LTO)$(DEBUG)$(CONTEXT)$(IS_CLANG),,\
             $(if $(filter x86_64,$(CPU)),$(O)/bench/hot_paths))
$(O)/bench/hot_paths.o $(O)/bench/step.o: | need-HOT_PATHS
$(O)/bench/hot_paths: $(O)/bench/hot_paths.o $(O)/bench/step.o \
                      $(O)/bench/gauge.o $(O)/libkin.a
	$(call say,LD,$@)$(LINK) $^ $(LIBS) -lm -o $@

bench-check: $(HOT_PATHS) ## instructions of the hot paths, against bench/budget
	@$(if $(HOT_PATHS),bench/check $< bench/budget,\
	  echo "bench-check: gcc on x86-64 only")

bench-budget: $(HOT_PATHS) ## writes bench/budget anew
	@bench/check $< bench/budget --write

bench-profile: $(HOT_PATHS) ## where the instructions of one hot path are: HOT=yield
	@bench/check $< --profile $(HOT)

bench-publish: $(HOT_PATHS) | need-BENCH ## puts the results in build/bench into docs/PERFORMANCE.md
	@$(BENCH_RUN) --publish docs/PERFORMANCE.md --hot-paths $<

bench-page: ## a full run, and its results into docs/PERFORMANCE.md
	+@$(MAKE) bench; status=$$?; $(MAKE) bench-publish && exit $$status

bench-deps: ## installs what the benchmarks and the peers need
	@tools/need.sh $(NEED_BENCH_DEPS) $(NEED_PEERS)
