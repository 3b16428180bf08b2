# Shared by build and run, and by examples/images; to be sourced. Defines functions and $cache. Writes only $cache/accelerator.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${SAFE_APPLIANCE_CACHE:-$repository/build/appliance}

fail() {
    echo "appliance: $*" >&2
    exit 125
}

need_tools() {
    local tool missing=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} = 0 ] || fail "missing here: ${missing[*]}; run tests/support/install appliance"
}

# The first 16 hex digits of the digest over the contents of files, in order.
digest() {
    cat "$@" | sha256sum | cut -c1-16
}

# accelerator IMAGE: QEMU's arguments for running it. KVM only where it really works, and inside the appliance once more:
# the image's own kernel is booted for the proof, at most ten seconds, once per boot of this machine.
accelerator() {
    local image=$1 known=$cache/accelerator key verdict=''
    key=$({ cat /proc/sys/kernel/random/boot_id; readlink -f "$image/vmlinux"; } | sha256sum)
    if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
        if ! { read -r known_key verdict <"$known" && [ "$known_key" = "${key%% *}" ]; } 2>/dev/null; then
            verdict=tcg
            # In braces, so that the shell does not tell everybody that a KVM which does not work aborted.
            if { timeout --foreground -k 1 10 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -nic none \
                -accel kvm -cpu host -machine pc -smp 2 -m 512 -kernel "$image/vmlinux" -initrd "$image/initrd.img" \
                -append "console=ttyS0 panic=-1 quiet safe.probe" -serial "file:$known.console.$$" \
                </dev/null >/dev/null 2>&1; } 2>/dev/null && grep -q 'safe.probe: kvm works' "$known.console.$$"; then
                verdict=kvm
            fi
            rm -f "$known.console.$$"
            echo "${key%% *} $verdict" >"$known.$$" && mv "$known.$$" "$known"
        fi
    fi
    if [ "$verdict" = kvm ]; then
        echo "-accel kvm -cpu host"
    else
        echo "-accel tcg,thread=multi -cpu max"
    fi
}
