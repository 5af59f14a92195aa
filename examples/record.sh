#!/usr/bin/env bash
# Records the captures of examples/captures anew: two network namespaces joined by a veth pair, a
# real server in one, a real client in the other, tcpdump beside the server.
#
#   sudo examples/record.sh [FOLDER]          (default: examples/captures)
#
# Needs Linux, root and, as Debian calls them: iproute2 procps ethtool tcpdump wireshark-common socat
# netcat-openbsd lighttpd curl dnsmasq-base bind9-dnsutils redis-server.
# Nothing leaves the namespaces; every program runs under a time limit; whatever was started or
# created is gone at the end, however the script ends.
set -euo pipefail

folder=$(realpath -m "${1:-$(dirname "$0")/captures}")
mkdir -p "$folder"
[ "$(id -u)" = 0 ] || { echo "record.sh: network namespaces need root" >&2; exit 1; }
for tool in ip ss sysctl ethtool tcpdump editcap socat nc lighttpd curl dnsmasq dig redis-server; do
    command -v "$tool" >/dev/null || { echo "record.sh: $tool is missing (see the head of $0)" >&2; exit 1; }
done

# Documentation addresses (RFC 5737, RFC 3849): nobody's.
client4=192.0.2.10 server4=192.0.2.20
client6=2001:db8::10 server6=2001:db8::20
limit=60 # seconds that any one program may run

here=p2c-client-$$ there=p2c-server-$$
scratch=$(mktemp -d)
started=()

stop() { # PID: ends a program that this script started, and waits for it
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

clean_up() {
    for pid in "${started[@]}"; do stop "$pid"; done
    ip netns del "$here" 2>/dev/null || true
    ip netns del "$there" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT

client() { timeout "$limit" ip netns exec "$here" "$@"; }

serve() { # COMMAND...: starts a server in its namespace
    timeout "$limit" ip netns exec "$there" "$@" >"$scratch/server.log" 2>&1 &
    started+=($!) server=$!
}

wait_for() { # TRIES (of 0.1 s) COMMAND...: until the command succeeds
    local tries=$1
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "record.sh: gave up waiting: $*" >&2; cat "$scratch"/*.log >&2; exit 1; }
        sleep 0.1
    done
}

listens() { ip netns exec "$there" ss -Hlntu "sport = :$1" | grep -q .; } # PORT

record() { # FILE TCPDUMP-OPTIONS...: starts recording what the server's interface sees
    timeout "$limit" ip netns exec "$there" tcpdump -i eth0 -U -Z root -w "$@" 2>"$scratch/tcpdump.log" &
    started+=($!) recorder=$!
    wait_for 50 grep -q "listening on" "$scratch/tcpdump.log"
}

finish() { # ends server and recording, after the last packets have come
    sleep 0.5
    stop "$server"
    sleep 0.3
    stop "$recorder"
}

type_slowly() { # LINE...: as a person would, a line at a time
    local line
    for line in "$@"; do
        sleep 0.4
        printf '%s\n' "$line"
    done
    sleep 0.4
}

set_up_network() {
    ip netns add "$here"
    ip netns add "$there"
    # Addresses by hand, so that neither router solicitations nor address checks are recorded.
    local ns
    for ns in "$here" "$there"; do
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.accept_ra=0 \
            net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.accept_dad=0
        ip -n "$ns" link set lo up
    done
    ip -n "$here" link add eth0 address 02:00:00:00:00:10 type veth \
        peer name eth0 address 02:00:00:00:00:20 netns "$there"
    for ns in "$here" "$there"; do
        # Without offload the capture holds what a wire would: 1500-byte packets, true checksums.
        ip netns exec "$ns" ethtool -K eth0 tso off gso off gro off tx off rx off >/dev/null
        ip -n "$ns" link set eth0 up
    done
    ip -n "$here" addr add "$client4/24" dev eth0
    ip -n "$there" addr add "$server4/24" dev eth0
    ip -n "$here" addr add "$client6/64" dev eth0 nodad
    ip -n "$there" addr add "$server6/64" dev eth0 nodad
    # Multicast listener reports come in the first seconds; then it is quiet.
    sleep 3
}

record_telnet() { # a shell behind port 23, a line at a time, as in the classic example
    mkdir "$scratch/home"
    printf 'Welcome to the example host.\n' >"$scratch/home/motd"
    printf 'one\ntwo\nthree\n' >"$scratch/home/list"
    seq -f 'reading %g: ok' 1 400 >"$scratch/home/readings.log"
    record "$scratch/telnet.pcap"
    serve env -i PATH=/usr/bin:/bin PS1='$ ' socat "TCP4-LISTEN:23,bind=$server4,reuseaddr" \
        "SYSTEM:cd $scratch/home && exec sh -i 2>&1"
    wait_for 50 listens 23
    type_slowly 'ls' 'cat motd' 'sort -r list' 'cat readings.log' \
        'for i in 1 2 3; do echo tick $i; sleep 0.05; done' 'wc -l readings.log' 'exit' |
        client nc -q 2 "$server4" 23 >/dev/null
    finish
    editcap -F pcapng "$scratch/telnet.pcap" "$folder/telnet.pcapng"
}

record_http() { # two requests over one connection, then one that is not found
    mkdir "$scratch/www"
    printf '<!doctype html>\n<title>Example</title>\n<p>Numbers are <a href="numbers.txt">here</a>.\n' \
        >"$scratch/www/index.html"
    seq 1 5000 >"$scratch/www/numbers.txt"
    cat >"$scratch/lighttpd.conf" <<CONF
server.document-root = "$scratch/www"
server.bind = "$server4"
server.port = 80
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".txt" => "text/plain" )
CONF
    record "$folder/http.pcap"
    serve lighttpd -D -f "$scratch/lighttpd.conf"
    wait_for 50 listens 80
    client curl -sS "http://$server4/" "http://$server4/numbers.txt" >"$scratch/got"
    cmp "$scratch/got" <(cat "$scratch/www/index.html" "$scratch/www/numbers.txt")
    client curl -sS -o /dev/null "http://$server4/missing"
    finish
}

record_dns() { # questions over UDP, one answer in IP fragments, one question over TCP
    local records=() i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        records+=("--txt-record=big.example.com,part $i $(printf '%0200d' "$i")")
    done
    # Nanoseconds, so that times with nine decimals have an example too.
    record "$folder/dns.pcap" --time-stamp-precision=nano
    serve dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --no-resolv --no-hosts --user=root \
        --bind-interfaces --listen-address="$server4" --edns-packet-max=4096 \
        --host-record=www.example.com,192.0.2.80,2001:db8::80 --mx-host=example.com,mail.example.com,10 \
        --txt-record=example.com,"v=spf1 -all" --local=/example.com/ "${records[@]}"
    wait_for 50 listens 53
    local ask=(client dig "@$server4" +tries=1 +time=5)
    "${ask[@]}" www.example.com A >/dev/null
    "${ask[@]}" www.example.com AAAA >/dev/null
    "${ask[@]}" example.com MX >/dev/null
    "${ask[@]}" example.com TXT >/dev/null
    "${ask[@]}" nowhere.example.com A >/dev/null
    "${ask[@]}" +bufsize=4096 +ignore big.example.com TXT >/dev/null
    "${ask[@]}" +tcp www.example.com A >/dev/null
    finish
}

record_redis() { # a line protocol over IPv6, several turns, a value longer than a segment
    # By nc, which sends the lines as typed: redis-cli would first ask for 200 KB of command docs.
    record "$folder/redis-ipv6.pcap"
    serve redis-server --bind "$server6" --port 6379 --save '' --protected-mode no --dir "$scratch"
    wait_for 50 listens 6379
    type_slowly 'PING' 'SET greeting "hello, world"' 'GET greeting' 'RPUSH fruits apple pear plum' \
        'LRANGE fruits 0 -1' "SET long $(printf 'abcdefghij%.0s' $(seq 1 400))" 'GET long' 'INCR hits' \
        'GET nothing' 'NOSUCH command' 'QUIT' |
        client nc -6 -q 2 "$server6" 6379 >/dev/null
    finish
}

set_up_network
record_telnet
record_http
record_dns
record_redis
ls -l "$folder"
