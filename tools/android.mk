# android.mk -- the Makefile's part for make ANDROID_NDK=... ABI= API=.
#
# ABI is arm64-v8a or x86_64, API the lowest level the program runs on (24 or
# more).  The libraries land in build/android<API>-<ABI>.

ABI ?= arm64-v8a
API ?= 24

NDK_BIN := $(firstword $(wildcard $(ANDROID_NDK)/toolchains/llvm/prebuilt/*/bin))
ifeq ($(NDK_BIN),)
  $(error ANDROID_NDK=$(ANDROID_NDK): there is no toolchains/llvm/prebuilt/*/bin)
endif

ANDROID_CPU := $(patsubst arm64-v8a,aarch64,$(filter arm64-v8a x86_64,$(ABI)))
ifeq ($(ANDROID_CPU),)
  $(error ABI=$(ABI): only arm64-v8a and x86_64 are known)
endif
ifneq ($(shell test "$(API)" -ge 24 2>/dev/null && echo yes),yes)
  $(error API=$(API): a level from 24 on)
endif

override CC := $(NDK_BIN)/clang
ANDROID_TARGET := --target=$(ANDROID_CPU)-linux-android$(API)
