#!/usr/bin/env bash
# Installs what is missing on Debian and Ubuntu.
#
#   scripts/install.sh build     what building needs: a C linker and libpcap's headers (with sudo
#                                when not root); fails when they cannot be had
#   scripts/install.sh test      what some tests compare with or run in (as root only); tests whose
#                                tool stays missing are skipped and say so
#   scripts/install.sh bench     what the measurements need
set -euo pipefail

wanted=() # packages

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || wanted+=("$2")
}

install() { # with or without sudo, without questions
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    echo "installing ${wanted[*]}"
    "${as_root[@]}" apt-get -qq update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends "${wanted[@]}" >/dev/null
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }
}

case "${1:-}" in
build)
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing: this needs Rust 1.95 or newer (cargo), see https://rustup.rs" >&2
        exit 1
    fi
    if ! command -v cc >/dev/null; then
        wanted+=(gcc libc6-dev libpcap-dev)
    elif ! echo '#include <pcap/pcap.h>' | cc -E - >/dev/null 2>&1; then
        wanted+=(libpcap-dev)
    fi
    [ ${#wanted[@]} = 0 ] && exit 0
    if ! may_install || ! install; then
        cat >&2 <<MESSAGE
Missing, and not installed here: ${wanted[*]} (Debian's and Ubuntu's names).
  Debian, Ubuntu:  apt-get install ${wanted[*]}      as root
  Fedora:          dnf install gcc libpcap-devel
  Arch:            pacman -S gcc libpcap
  Alpine:          apk add gcc musl-dev libpcap-dev
  macOS:           comes with the command line tools (xcode-select --install)
Then run make again. Without libpcap the program still builds, and then has no -e, -i and -l:
  cargo build --release -p pcap2conn --no-default-features
MESSAGE
        exit 1
    fi
    ;;
test)
    need python3 python3
    need tshark tshark
    need editcap wireshark-common
    need tcpdump tcpdump
    need tcpflow tcpflow
    need ip iproute2
    need ethtool ethtool
    need curl curl
    need dnsmasq dnsmasq-base
    need dig bind9-dnsutils
    need redis-server redis-server
    need redis-cli redis-tools
    need openssl openssl
    need ping iputils-ping
    need tcpreplay tcpreplay
    /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || wanted+=(python3-prometheus-client)
    need valgrind valgrind
    [ ${#wanted[@]} = 0 ] && exit 0
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "not installed (needs root and apt-get): ${wanted[*]}; tests that use them are skipped"
    elif ! install; then
        echo "could not be installed: ${wanted[*]}; tests that use them are skipped" >&2
    fi
    ;;
bench)
    need python3 python3
    need tcpflow tcpflow
    need tshark tshark
    need strace strace
    need tcpreplay tcpreplay
    need tcpdump tcpdump
    need ip iproute2
    need socat socat
    [ -x /usr/bin/time ] || wanted+=(time)
    [ ${#wanted[@]} = 0 ] && exit 0
    may_install && install || { echo "please install: ${wanted[*]}" >&2; exit 1; }
    ;;
*)
    echo "usage: scripts/install.sh build|test|bench" >&2
    exit 2
    ;;
esac
