#!/usr/bin/env bash
# Measures pcap2conn beside tcpflow (Debian package) on one capture of many short HTTP connections,
# which it makes itself; everything is on one file system, by default in memory.
#
#   bench/against-tcpflow.sh [CONNECTIONS] [RUNS]        (default 40000, about 300 MB, and 5)
#
# SCRATCH chooses the folder (default /dev/shm), PCAP2CONN the program (default the release build).
# Needs Debian's tcpflow, time and python3.
#
# Rows: tcpflow writes a file for each direction, pcap2conn by default one for each connection, so it
# has a second row with -s, where both write the same files; `cp -r` of pcap2conn's result is what
# merely writing those files costs. tcpflow runs with what makes it quickest without changing what
# it writes: no report.xml (-S enable_report=NO), its reassembler and no other scanner
# (-E tcpdemux), no warnings (-q).
set -euo pipefail

cd "$(dirname "$0")/.."
connections=${1:-40000}
runs=${2:-5}
program=${PCAP2CONN:-$PWD/target/release/pcap2conn}
for tool in tcpflow python3; do
    command -v "$tool" >/dev/null || { echo "against-tcpflow.sh: $tool is missing" >&2; exit 1; }
done
[ "$runs" -ge 5 ] || { echo "against-tcpflow.sh: at least 5 runs, a median of fewer says little" >&2; exit 2; }

cargo build --quiet --release --locked -p pcap2conn -p pcap2conn-bench
scratch=$(mktemp -d -p "${SCRATCH:-/dev/shm}" pcap2conn-bench.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

target/release/make-capture web --connections "$connections" "$scratch/mix.pcap"
tcpflow --version || true # it gives 1
"$program" --version
echo
python3 bench/side_by_side.py --runs "$runs" "$scratch/mix.pcap" \
    "tcpflow=tcpflow -q -S enable_report=NO -E tcpdemux -r {in} -o {out}" \
    "pcap2conn=$program -q -r {in} -o {out}" \
    "pcap2conn -s=$program -q -s -r {in} -o {out}" \
    "cp -r=cp -r {of:pcap2conn}/. {out}"
