# The safe of the scenarios in which people open one: two volumes on the storage host, guests that count, members; to be sourced after
# lib.sh. Passwords and secrets here are for tests alone.
# shellcheck shell=bash
alices="correct horse of alice" bobs="battery staple of bob"
file=/srv/safe/atlas/data/beat-desktop # the workspace guest's beats, in the volume that it mounts

volume() { # NAME LUN MORE
    echo "  $1: { role: $1, provision: if-blank, iscsi: { portal: 192.0.2.10, target: 'iqn.2026-01.org.example:atlas', lun: $2,"
    echo "    chap: { user: atlas, secret: { file: /etc/safe/chap } } }${3:+, $3} }"
}
guest() { # NAME ROLE ADDRESS WORDS MORE
    local cmdline="console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests probe.name=$1${4:+ $4}"
    echo "  $1: { role: $2, boot: { kernel: guest/vmlinux, initrd: guest/initrd.img, cmdline: '$cmdline' },"
    echo "    memory: 160MiB, cpus: 1, address: $3${5:+, $5} }"
}
network() { echo "network: { bridge: br-atlas, address: 10.77.0.1/24${1:+, $1} }"; }
doors() { network "gateway: gateway, users: 10.78.0.0/24, super-users: 10.78.1.0/24"; } # the network with a way in
volumes() { echo volumes:; volume vault 1 "encryption: { kdf: { memory: 32MiB } }"; volume data 2; }
gateway() { guest gateway service 10.77.0.2; }
desktop() { guest desktop workspace 10.77.0.20 probe.mount=10.77.0.1:/srv/safe/atlas/data "mounts: { /data: data }"; }
more_members=''
members() {
    echo 'directory: { ldap: "ldapi:///", base: "dc=atlas,dc=example,dc=org" }'
    echo "users: { alice: { name: Alice Martin, super: true }, bob: { name: Bob Olsen }${more_members:+, $more_members} }"
}
# spec SUSPEND PART...: a safe.yaml of these parts; guests come last, after the word vms
spec() {
    echo "version: 1"
    echo "safe: atlas"
    echo "suspend: $1"
    echo "deadlines: { close: 2m, storage: 30s }"
    shift
    local part
    for part in "$@"; do "$part"; done
}
vms() { echo vms:; }
chap_secret() {
    install -d -m 0700 /etc/safe
    (umask 077 && printf 'a-secret-of-tests' >/etc/safe/chap)
    sync -f /etc/safe/chap  # for scenarios in which the power fails
}

proved() { run 0 safectl verify; says "safe atlas is $1"; }
is_running() { [ "$(became $file)" = running ]; }
as_noted() { noted_line=$(last_beat "$1") noted_count=$(wc -l <"$1"); }
# The guest goes on where it was when BEATS was copied: the same boot, a later beat.
goes_on() { # BEATS
    as_noted "$1"
    soon 120 is_running
    [ "$(became $file)" = running ] || fail "the guest $(became $file)"
}

# The journal has a line at the begin and at the end of each step.
journal=/var/lib/safe/atlas/journal.jsonl
lines() { if [ -e $journal ]; then wc -l <$journal; else echo 0; fi; }
# line_of_journal BEFORE WHICH PID: the first line that sed's address WHICH means (a number, /a pattern/) after the BEFORE lines that were
# there, as soon as it is written, without its time; nothing when process PID ends before.
line_of_journal() {
    # Not a pipeline: that would wait for tail, too.
    sed -n "$2{s/^{\"time\":[^,]*,\"pid\":[^,]*,//p;q}" < <(timeout 240 tail -n +1 -s 0.1 "--pid=$3" -F $journal 2>/dev/null |
        sed -u -n "$(($1 + 1)),\$p")
}
# killed WHICH COMMAND...: begins it with alice's password, and kills it when the journal has that line, as above. Status 1: it had ended
# before.
killed() {
    local which=$1 pid ended=0 reached='' before
    before=$(lines)
    shift
    "$@" 5< <(printf '%s\n' "$alices") >/run/killed.log 2>&1 &
    pid=$!
    reached=$(line_of_journal "$before" "$which" $pid)
    kill -KILL $pid 2>/dev/null || true
    wait $pid 2>/dev/null || ended=$?
    [ "$ended" = 137 ] || { cat /run/killed.log; echo "had ended with $ended before $which"; return 1; }
    echo "killed at: $reached"
}
