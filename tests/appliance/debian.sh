# Where Debian's packages come from, for the appliance and for the images that its guests boot; to be sourced. Writes what it is told to.
# shellcheck shell=bash

# One-line apt sources of this machine's own Debian 12 archives, without those of third parties.
debian_sources() {
    local signed
    signed=$(dpkg -L debian-archive-keyring 2>/dev/null | grep '/debian-archive-keyring.gpg$' || true)
    # The $(…) are apt's fields, not the shell's.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        awk -v signed="${signed:+[signed-by=$signed] }" '$2 ~ /^bookworm/ && !seen[$0]++ { print "deb " signed $0 }'
}

# debian TARGET OPTION...: makes TARGET, a folder or a tar, a minimal Debian 12 with mmdebstrap's OPTIONs. The network gets three chances.
# Touches TARGET and TARGET.list. Fails with mmdebstrap's status.
debian() (
    target=$1 sources=() status=1
    shift
    # mmdebstrap writes descriptors into a script for dash, which knows none above 9: whatever was inherited must not push them there.
    for descriptor in /proc/self/fd/*; do
        descriptor=${descriptor##*/}
        # From 255 bash reads its own script.
        if [ "$descriptor" -gt 2 ] && [ "$descriptor" -lt 255 ]; then exec {descriptor}>&-; fi
    done
    debian_sources >"$target.list"
    # Without any of its own, the machine's name for Debian's mirror is left to mmdebstrap.
    [ ! -s "$target.list" ] || sources=("$target.list")
    for attempt in 1 2 3; do
        rm -rf --one-file-system "$target"
        status=0
        timeout --foreground 1500 mmdebstrap --mode=root --variant=minbase "$@" bookworm "$target" "${sources[@]}" || status=$?
        if [ "$status" = 0 ] || [ "$attempt" = 3 ]; then break; fi
        echo "no Debian yet, mmdebstrap ended with $status; once more in $((attempt * 5)) s"
        sleep $((attempt * 5))
    done
    rm -f "$target.list"
    exit "$status"
)
