# Where Debian's packages come from, for the appliance and for the images that its guests boot; to be sourced. Writes nothing.
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
