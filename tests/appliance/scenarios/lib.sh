# What the scenarios share; sourced inside the appliance, with the payload as working directory. Prints what it does, so that a
# failed scenario can be read like a story.
# shellcheck shell=bash
export PATH=$PWD/bin:$PATH LIBVIRT_DEFAULT_URI=qemu:///system
table='bridge safe-atlas'

chapter() { printf '\n── %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

# run STATUS COMMAND...: prints the command and its output, which is kept in $output, and insists on the status.
run() {
    local wanted=$1 status=0
    shift
    printf '\n$ %s\n' "$*"
    output=$("$@" 2>&1) || status=$?
    printf '%s\n' "$output"
    [ "$status" = "$wanted" ] || fail "exit status $status where $wanted was expected"
}
# with PASSWORD... -- STATUS COMMAND...: the same, with the passwords on a descriptor; they are the scenario's alone.
with() {
    local words=()
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    run "$@" --password-fd 5 5< <(printf '%s\n' "${words[@]}")
}
says() { grep -qF -- "$1" <<<"$output" || fail "the output does not say: $1"; }
says_not() { ! grep -qF -- "$1" <<<"$output" || fail "the output says: $1"; }
# steps N: the last plan has so many.
steps() {
    local count
    count=$(grep -cE '^  [+~-] ' <<<"$output" || true)
    [ "$count" = "$1" ] || fail "$count steps where $1 were expected"
}
# rule CHAIN COMMENT: its line in the listing, handle and counter included.
rule() { nft -a list chain $table "$1" | grep -F "comment \"$2\"" || fail "no rule $2 in $1"; }
handle() { rule "$1" "$2" | sed 's/.*# handle //'; }
# soon SECONDS COMMAND...: succeeds within the time.
soon() {
    local limit=$1 end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "not within $limit s: $*"
        sleep 0.1
    done
}
beats() { # VM: its console goes on telling that it lives
    local log=/var/lib/safe/atlas/logs/$1.log before
    before=$(grep -ac '^heartbeat' "$log" || true)
    soon 90 eval "[ \$(grep -ac ^heartbeat '$log') -gt $before ]"
    printf '%s: %s\n' "$1" "$(grep -a '^heartbeat' "$log" | tail -n 1)"
}
# boots VM: how many different boots its console tells of.
# After a power cut a log may end in zeros.
boots() { grep -ao 'boot=[^ ]* beat' "/var/lib/safe/atlas/logs/$1.log" | sort -u | wc -l; }

# share_of N: which of N shares of the points at which work can be killed is tried, as K/N: SAFE_FAULT_SHARE, or another one at each turn
# of these tests, which is every tenth day.
share_of() { echo "${SAFE_FAULT_SHARE:-$((10#$(date +%j) / 10 % $1))/$1}"; }

# Guests that are probes obey their consoles; examples/images/probe/init says how.
logs=/var/lib/safe/atlas/logs domain=atlas-
console() { tr -d '\r' <"$logs/$1.log"; }
# said VM NUMBER: what it has said to that so far
said() { console "$1" | sed -n "s/^$2| //p"; }
is_done() { console "$1" | grep -a "^told $2: status" >/dev/null; }
# begin VM COMMAND...: has it obeyed, and leaves a number in $told, by which its answer is known; with & at the end it goes on
# there. The line is held open until then: QEMU reads only while it is.
begin() {
    local vm=$1 line
    shift
    told=${EPOCHREALTIME/./}
    exec {line}<>"$(virsh ttyconsole "$domain$vm")"
    printf '%s %s\n' "$told" "$*" >&"$line"
    soon 90 is_done "$vm" "$told"
    exec {line}>&-
}
# tell VM COMMAND...: prints what it said, and returns its status.
tell() {
    begin "$@"
    said "$1" "$told"
    return "$(console "$1" | sed -n "s/^told $told: status //p" | head -n 1)"
}

# A probe that mounts writes its beats under a lock into beat-NAME; FILE is that file as the hypervisor sees it. What became of it is
# told by comparing with what was noted before.
last_beat() { grep -a '^heartbeat ' "$1" | tail -n 1; } # FILE
word() { sed "s/.* $2=\([^ ]*\).*/\1/" <<<"$1"; }   # LINE NAME
# note FILE: remembers where it stands
note() { noted_line=$(last_beat "$1") noted_count=$(wc -l <"$1"); }
# became FILE: asleep (nothing new), running, rebooted (another boot), or rolled back (an earlier beat of the same boot came again)
became() {
    local line expected got=''
    line=$(last_beat "$1")
    [ "$(wc -l <"$1")" -gt "$noted_count" ] || { echo asleep; return; }
    [ "$(word "$line" boot)" = "$(word "$noted_line" boot)" ] || { echo rebooted; return; }
    expected=$(word "$noted_line" beat)
    for got in $(tail -n +$((noted_count + 1)) "$1" | sed -n 's/^heartbeat .* beat=\([0-9]*\) .*/\1/p'); do
        [ "$got" -gt "$expected" ] || { echo "rolled back"; return; }
        expected=$got
    done
    echo running
}
# never_back VM: its console tells of no beat twice: in each boot they only grow
never_back() {
    console "$1" | awk '/^heartbeat / { for (i = 2; i <= NF; i++) { split($i, pair, "="); word[pair[1]] = pair[2] }
        if (word["beat"] + 0 <= last[word["boot"]] + 0) { print "back in time: " $0; exit 1 }
        last[word["boot"]] = word["beat"] }' || fail "$1 went back in time"
}
# is_locked FILE: somebody, for a guest the NFS server, holds a lock on it
is_locked() { grep -q ":$(stat -c %i "$1") " /proc/locks; }

# Faults that are made in here; those from outside (power, memory, storage) are asked for with the command outside.
# fill FOLDER: nothing more fits on its filesystem, for root neither; give_back undoes it. What ext4 keeps for itself cannot be
# had, so pieces get smaller until none fits.
fill() {
    local piece number=0
    piece=$(($(stat -f -c '%f * %S' "$1")))
    while [ "$piece" -ge 4096 ]; do
        number=$((number + 1))
        fallocate -l "$piece" "$1/.filled.$number" 2>/dev/null || piece=$((piece / 2))
    done
    ! dd if=/dev/zero of="$1/.filled.more" bs=64k count=1 conv=fsync status=none 2>/dev/null || fail "$1 is not full"
}
give_back() { rm -f "$1"/.filled.*; }
# clock SECONDS: moves it, forward or with a minus back
clock() { date -s "@$(($(date +%s) + $1))"; }
# libvirtd stopped in order, killed, hung, and again as it was
libvirtd_ends() { # SIGNAL
    local pid
    pid=$(pgrep -x libvirtd)
    kill "-$1" "$pid"
    soon 60 eval "! kill -0 $pid"
}
libvirtd_hangs() { kill -STOP "$(pgrep -x libvirtd)"; }
libvirtd_goes_on() { kill -CONT "$(pgrep -x libvirtd)"; }
libvirtd_starts() { libvirtd -d; soon 120 virsh -q list; }
