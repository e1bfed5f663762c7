#!/bin/bash
# capture.sh FLOOD COUNT RATE BYTES CMD…: CMD captures in namespace b what FLOOD sends from a. Prints the rate that was
# reached, what CMD said, and its user and system time (s) and peak memory (KB). /run is its own.
set -e
flood=$1 count=$2 rate=$3 bytes=$4
shift 4
ip netns add a
ip netns add b
ip link add v0 netns a type veth peer name v0 netns b
ip -n a address add 10.0.0.1/24 dev v0
ip -n a link set v0 up
ip -n b link set v0 up
# nobody's address: b looks at the packets and lets them drop
ip -n a neighbour add 10.0.0.9 lladdr 02:00:00:00:00:99 dev v0
# not the shell's own word of that name
env time -f '%U user %S system %M memory' -o /run/time sh -c 'echo $$ > /run/pid; exec "$@"' sh "$@" > /run/said 2>&1 &
until grep -qE 'capturing at|listening on' /run/said; do
	kill -0 $! || { cat /run/said; exit 1; }
	sleep 0.05
done
ip netns exec a "$flood" 10.0.0.9 "$count" "$rate" "$bytes"
sleep 0.5
kill -INT "$(cat /run/pid)"
wait
cat /run/said /run/time
