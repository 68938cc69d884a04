#!/bin/bash
# ndk-double.sh DIRECTORY LEVEL -- what has the shape of an Android NDK.
#
# The compiler is Debian's clang, for Android as its target, with the headers of
# glibc (Android's are not to be had) and ours for the looper.  The libraries to
# link with are empty but for their symbols: those that docs/android-symbols.txt
# says the real ones have at LEVEL.  So `make ANDROID_NDK=DIRECTORY` compiles
# every source for Android, and links only with what is there.
set -eu
ndk=$1 level=$2 here=$PWD
bin=$ndk/toolchains/llvm/prebuilt/linux-x86_64/bin
rm -rf "$ndk"
mkdir -p "$bin"

# stub CPU LIBRARY LINKER: a shared library with symbols and nothing else.
stub() {
    local lib=$ndk/lib/$1
    mkdir -p "$lib"
    awk -v library="$2" -v level="$level" '
        /^[a-z_A-Z]/ && $2 <= level && $3 == library {
            for (i = 1; i <= NF; i += 3)    # and the other name
                printf ".globl %s\n.type %s, %%function\n%s: .byte 0\n", \
                       $i, $i, $i
        }' docs/android-symbols.txt > "$lib/$2.s"
    echo '.section .note.GNU-stack, "", %progbits' >> "$lib/$2.s"
    clang --target="$1-linux-android$level" -c "$lib/$2.s" -o "$lib/$2.o"
    "$3" -shared -soname "$2.so" "$lib/$2.o" -o "$lib/$2.so"
}

for cpu in aarch64 x86_64; do
    linker=ld headers=/usr/include/x86_64-linux-gnu
    [ $cpu = x86_64 ] || linker=aarch64-linux-gnu-ld \
        headers=/usr/aarch64-linux-gnu/include
    for library in libc libdl libandroid libcompiler; do
        stub $cpu $library $linker
    done
    cat > "$bin/$cpu" <<END
headers=$headers
linker=$(command -v $linker)
libraries=$ndk/lib/$cpu
END
done

# The compiler: as the real one it knows where its headers and libraries are.
cat > "$bin/clang" <<END
#!/bin/bash
case \$1 in
--target=aarch64-*) . "$bin/aarch64" ;;
--target=x86_64-*)  . "$bin/x86_64" ;;
*)                  echo "clang: \$1" >&2; exit 1 ;;
esac
case " \$* " in
*" -c "*) exec clang "\$@" -isystem "$here/tests/android" -isystem \$headers ;;
esac
exec clang "\$@" --ld-path=\$linker -nostdlib -L\$libraries -lc -lcompiler
END
for tool in ar nm readelf objdump; do
    ln -s "$(command -v "aarch64-linux-gnu-$tool")" "$bin/llvm-$tool"
done
chmod +x "$bin/clang"
