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
    local limit=$1
    shift
    for ((i = 0; i < limit * 10; i++)); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    fail "not within $limit s: $*"
}
beats() { # VM: its console goes on telling that it lives
    local log=/var/lib/safe/atlas/logs/$1.log before
    before=$(grep -c '^heartbeat' "$log" || true)
    soon 90 eval "[ \$(grep -c ^heartbeat '$log') -gt $before ]"
    printf '%s: %s\n' "$1" "$(grep '^heartbeat' "$log" | tail -n 1)"
}
# boots VM: how many different boots its console tells of.
boots() { grep -o 'boot=[^ ]*' "/var/lib/safe/atlas/logs/$1.log" | sort -u | wc -l; }
