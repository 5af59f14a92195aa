# make demo     sets up, builds, runs the program on an example and shows what came out
# make test     sets up, then formatting, lints, documentation, all tests
# make bench    measures beside cp, tcpflow, tshark and bare loops (ARGS="--quick web": bench/run.py --help)
# make load     replays captures at rising rates to this program, tcpdump and tcpflow (bench/load.py --help)
# make soak     captures short connections for minutes and looks whether memory grows (bench/soak.py --help)
# make replay-bench  plays recorded connections to itself over loopback (bench/play.py --help)
# make microbench          times decoding, connections, reassembly and output, each by itself
# make check-instructions  counts instructions, a part of make test
#
# On Debian and Ubuntu with Rust, nothing has to be installed before.

.PHONY: help demo test bench load soak replay-bench microbench release setup fmt lint doc unit doctest python check-corpus \
    check-instructions clean
.NOTPARALLEL:

CARGO_FLAGS := --locked
PYTHON_TESTS := examples/json-dump/python bench tests/round_trip

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: release
	@scripts/demo.sh

test: setup fmt lint doc unit doctest release python check-corpus check-instructions
	@echo "make test: all passed"

bench: release
	@scripts/install.sh bench
	python3 bench/run.py $(ARGS)

load: release
	@scripts/install.sh bench
	python3 bench/load.py $(ARGS)

soak: release
	@scripts/install.sh bench
	python3 bench/soak.py $(ARGS)

replay-bench: release
	@scripts/install.sh bench
	python3 bench/play.py $(ARGS)

microbench:
	cargo bench $(CARGO_FLAGS) -p pcap2conn-wire -p pcap2conn-flow -p pcap2conn-sink $(ARGS)

release:
	@scripts/install.sh build
	cargo build --release $(CARGO_FLAGS) -p pcap2conn

# For tests: everything, at once, before anything is compiled.
setup:
	@scripts/install.sh build
	@scripts/install.sh test

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets $(CARGO_FLAGS) -- -D warnings
	cargo clippy --workspace --all-targets --no-default-features $(CARGO_FLAGS) -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(CARGO_FLAGS)

# The second line is the program without libpcap, whose features are chosen in these two crates.
unit:
	@if cargo nextest --version >/dev/null 2>&1; then \
	    set -ex; \
	    cargo nextest run --workspace $(CARGO_FLAGS); \
	    cargo nextest run -p pcap2conn -p pcap2conn-capture --no-default-features $(CARGO_FLAGS); \
	else \
	    set -ex; \
	    cargo test --workspace --lib --bins --tests $(CARGO_FLAGS); \
	    cargo test -p pcap2conn -p pcap2conn-capture --lib --bins --tests --no-default-features $(CARGO_FLAGS); \
	fi

doctest:
	cargo test --workspace --doc $(CARGO_FLAGS)

python: release
	@if command -v python3 >/dev/null; then \
	    set -ex; \
	    for folder in $(PYTHON_TESTS); do \
	        PYTHONDONTWRITEBYTECODE=1 PCAP2CONN=target/release/pcap2conn \
	            python3 -m unittest discover -v -s $$folder; \
	    done; \
	else \
	    echo "skipped: the tests of $(PYTHON_TESTS) need python3"; \
	fi

check-corpus: release
	@scripts/check-corpus.sh

check-instructions: release
	@bench/instructions.sh

clean:
	cargo clean
	rm -rf examples/out
