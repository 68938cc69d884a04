#!/bin/sh
# need.sh PACKAGE=PROOF... -- sees to it that the Debian packages are there.
#
# PROOF is a command or an absolute path (a pattern) that the package brings;
# while it exists nothing is asked of the package manager.  What is missing is
# installed by root or by sudo without a password; else this names the line
# that installs it, and fails.
#
# need.sh --ask PACKAGE=PROOF... -- says whether they all are; installs nothing.
set -eu

ask=
[ "${1-}" != --ask ] || { ask=yes; shift; }
missing=
for need; do
    package=${need%%=*} proof=${need#*=}
    case $proof in
    /*) set -- $proof; [ -e "$1" ] ;;
    *)  command -v "$proof" >/dev/null ;;
    esac || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ -z "$ask" ] || { echo "missing:$missing" >&2; exit 1; }

line="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "missing, by their Debian names:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=sudo
else
    echo "missing:$missing; install with" >&2
    echo "    sudo $line" >&2
    exit 1
fi

echo "$sudo $line" >&2
apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -qy -o DPkg::Lock::Timeout=300 "$@" >&2
}
install() {
    apt install --no-install-recommends $missing
}
install || { apt update && install; }
