#!/usr/bin/env bash
# Runs the release build on a capture of examples/ and shows what came out.
set -euo pipefail

cd "$(dirname "$0")/.."
out=examples/out
rm -rf "$out"

run() { # COMMAND...: shows the command, then runs it
    printf '\n$ %s\n' "$(printf '%q ' "$@" | sed "s/tcp\\\\ port\\\\ 23/'tcp port 23'/; s/ $//")"
    "$@"
}

run target/release/pcap2conn -r examples/captures/telnet.pcapng -e "tcp port 23" -o "$out/text"
run target/release/pcap2conn -q -r examples/captures/telnet.pcapng -e "tcp port 23" -j -m -o "$out/json"
run ls -l "$out/text" "$out/json"

text=("$out"/text/*.txt)
metadata=("$out"/json/*-metadata.json)
json=${metadata[0]%-metadata.json}.json
[ -s "${text[0]}" ] && [ -s "$json" ] || { echo "demo: the program wrote no connection" >&2; exit 1; }

printf '\nThe connection as it was, both sides (%s):\n\n' "${text[0]}"
head -n 8 "${text[0]}"
printf '...\n\nThe same as JSON, a line a chunk (%s):\n\n' "$json"
head -n 4 "$json" | cut -c 1-200
printf '...\n\nAll of it is in %s. More captures: examples/captures; all options: target/release/pcap2conn --help\n' "$out"
