#!/usr/bin/env bash
# Runs the release build over a folder of real captures with known answers, where that folder lies
# beside the project (it is no part of it). Fails on a crash, a hang, or when fewer than 99.9 % of
# the judged directions have the right bytes under the right name.
set -euo pipefail

cd "$(dirname "$0")/.."
corpus=../shared/corpus
log=target/corpus.log

if [ ! -f "$corpus/check.py" ]; then
    echo "skipped: no captures at $corpus"
    exit 0
fi
# The checker's own exit status asks for every direction; the last line is judged here instead.
python3 "$corpus/check.py" "$corpus/expected.jsonl" "$corpus" -- \
    target/release/pcap2conn -q -r {in} -s -o {out} >"$log" || true
tail -n 30 "$log"
tail -n 1 "$log" | awk '
    match($0, /crash=[0-9]+/) { crash = substr($0, RSTART + 6, RLENGTH - 6) }
    match($0, /hang=[0-9]+/) { hang = substr($0, RSTART + 5, RLENGTH - 5) }
    match($0, /directions [0-9]+\/[0-9]+/) {
        split(substr($0, RSTART + 11, RLENGTH - 11), share, "/")
    }
    END {
        good = share[2] > 0 && crash == 0 && hang == 0 && share[1] * 1000 >= share[2] * 999
        print "corpus: " (good ? "passed" : "FAILED") ", see target/corpus.log"
        exit !good
    }'

# The same captures made harder: packets moved and repeated, SYNs removed, segments lost.
for how in "" "--no-syn" "--loss 0.01"; do
    # shellcheck disable=SC2086  # one or two words
    python3 tests/mangled/check.py $how
done

# Connections without gaps, played by two of the program to each other.
python3 tests/round_trip/check.py
