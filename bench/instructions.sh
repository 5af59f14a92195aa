#!/usr/bin/env bash
# Counts the instructions that the program takes for each packet of small fixed captures, and compares
# with bench/instructions.txt. Unlike times, such counts hardly depend on the machine, so that a change
# that makes the program slower is seen in review.
#
#   bench/instructions.sh             fails where a count is more than TOLERANCE percent above the file's
#   bench/instructions.sh --update    writes the file, to be committed with the change that explains it
#
# The counts are valgrind's (callgrind), with one worker. From each, the count on a capture without
# packets is taken: what starting costs depends on the system's libraries. Hash tables have seeds that
# come from addresses. Valgrind loads a program at the same ones every time, and where arguments and
# environment are the same too, two runs differed by 22 instructions of 77 million at most; with paths
# of other lengths, by 0.5 % where files are written. So the program runs in a folder of its own,
# without variables. glibc chooses its memcpy and others by the processor; that is turned off below
# (left to an AVX2 machine, JSON took 10 % more). What chooses for itself among the program's own code
# (hex digits with AVX2: 1.7 % of JSON) is left, and the tolerance covers it.
#
# Another compiler makes another program: then only ANY_COMPILER percent are too many. On another kind
# of processor nothing can be compared. Profiles stay in target/callgrind, for callgrind_annotate.
set -euo pipefail

TOLERANCE=3
ANY_COMPILER=10

cd "$(dirname "$0")/.."
file=bench/instructions.txt
target=${CARGO_TARGET_DIR:-target}
architecture=$(uname -m)
compiler=$(rustc --version)

# All that glibc 2.36 looks at when it chooses string functions, and the sizes of caches.
export GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512VL,-AVX512BW,-AVX512F\
,-AVX,-ERMS,-FSRM,-SSSE3,-SSE4_1,-SSE4_2,-BMI2,-RTM,-LZCNT,-MOVBE,-Fast_Unaligned_Copy\
:glibc.cpu.x86_non_temporal_threshold=4194304:glibc.cpu.x86_rep_movsb_threshold=33554432\
:glibc.cpu.x86_rep_stosb_threshold=33554432"

skip() {
    echo "skipped: instructions are not counted, $1"
    exit 0
}

fields() { # the line of `# KEY: …` of the file
    sed -n "s/^# $1: //p" "$file"
}

update=false
case "${1:-}" in
--update) update=true ;;
"") ;;
*)
    echo "usage: bench/instructions.sh [--update]" >&2
    exit 2
    ;;
esac
valgrind=$(command -v valgrind) || skip "valgrind is missing"
if ! $update && [ "$(fields processor)" != "$architecture" ]; then
    skip "$file is of $(fields processor), this is $architecture"
fi

cargo build --quiet --release --locked -p pcap2conn -p pcap2conn-bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
release=$(realpath "$target/release")
profiles=$(realpath "$target")/callgrind
mkdir -p "$profiles"
ln -s "$release/pcap2conn" "$scratch/pcap2conn"

make_capture() { # KIND OPTION...: its packets
    "$release/make-capture" "$1" "$scratch/$1.pcap" "${@:2}" 2>&1 |
        sed -n 's/.* \([0-9]*\) packets.*/\1/p'
}

count() { # NAME CAPTURE OPTION...: instructions
    rm -rf "$scratch/out"
    (
        cd "$scratch"
        env -i GLIBC_TUNABLES="$GLIBC_TUNABLES" TZ=UTC "$valgrind" --tool=callgrind \
            --callgrind-out-file="$profiles/$1.out" --log-file=log \
            ./pcap2conn -q --utc --workers 1 -r "$2.pcap" "${@:3}" >/dev/null
    )
    sed -n 's/.*Collected : //p' "$scratch/log"
}

declare -A packets start
packets[web]=$(make_capture web --connections 2000 --at-once 200)
packets[messy]=$(make_capture messy --connections 2000 --at-once 200)
packets[dns]=$(make_capture dns --pairs 10000)
head -c 24 "$scratch/web.pcap" >"$scratch/none.pcap"

dry=(--dry-run)
files=(-o out)
json=(-c -j)
for mode in dry files json; do
    declare -n options=$mode
    start[$mode]=$(count "none-$mode" none "${options[@]}")
done

measured=$scratch/measured
{
    cat <<HEAD
# Instructions of the program on small fixed captures, counted and compared by bench/instructions.sh.
# processor: $architecture
# compiler: $compiler
#
# run         packets  instructions   of them to start   a packet
HEAD
    for run in web-dry messy-dry dns-dry web-files dns-files web-json; do
        capture=${run%-*}
        mode=${run#*-}
        declare -n options=$mode
        all=$(count "$run" "$capture" "${options[@]}")
        printf '%-11s %9d %13d %18d %10d\n' "$run" "${packets[$capture]}" "$all" "${start[$mode]}" \
            $(((all - ${start[$mode]}) / ${packets[$capture]}))
    done
} >"$measured"

if $update; then
    cp "$measured" "$file"
    cat "$file"
    exit 0
fi

tolerance=$TOLERANCE
if [ "$(fields compiler)" != "$compiler" ]; then
    tolerance=$ANY_COMPILER
    echo "$file was made with $(fields compiler), this is $compiler: $tolerance % are allowed"
fi
awk -v tolerance="$tolerance" -v profiles="$profiles" '
    /^#/ { next }
    NR == FNR { known[$1] = $5; next }
    !($1 in known) { print $1 ": not in the file"; bad = 1; next }
    {
        change = 100 * ($5 / known[$1] - 1)
        verdict = ""
        if (change > tolerance) { verdict = "  SLOWER"; bad = 1 }
        if (change < -tolerance) { verdict = "  faster"; stale = 1 }
        printf "%-11s %6d instructions a packet, %6d in the file, %+6.1f %%%s\n", $1, $5, known[$1], change, verdict
    }
    END {
        if (bad) {
            print "FAILED: more than " tolerance " % above bench/instructions.txt. See where they go with"
            print "    callgrind_annotate " profiles "/RUN.out"
            print "and if there is a good reason, run bench/instructions.sh --update and commit the file with it."
        } else if (stale) {
            print "Faster than the file says: run bench/instructions.sh --update and commit it, to keep it so."
        }
        exit bad
    }' "$file" "$measured"
