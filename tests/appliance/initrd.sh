# Makes initial RAM disks, for the appliance and for the images that its guests boot; to be sourced. Writes only where told.
# shellcheck shell=bash

# copy_modules TREE TARGET MODULE...: copies kernel modules and what they depend on, and writes TARGET/order, the file names
# in the order in which insmod wants them. Modules built into the kernel are left out.
copy_modules() {
    local tree=$1 target=$2 module path
    shift 2
    for module in "$@"; do
        # A line of modules.dep reads "path: what it needs, to be loaded from right to left". File names mix - and _.
        awk -F '[: ]+' -v module="${module//-/_}" '{
            name = $1; sub(/.*\//, "", name); sub(/\.ko.*/, "", name); gsub(/-/, "_", name)
            if (name == module) for (i = NF; i >= 1; i--) if ($i != "") print $i
        }' "$tree/modules.dep"
    done | awk '!seen[$0]++' | while read -r path; do
        cp "$tree/$path" "$target/"
        basename "$path"
    done >"$target/order"
}

# devices NAME:MAJOR:MINOR:MODE...: an archive of character devices below dev/, to stand before a packed tree: a file system in which
# to make them would take root. The form is "newc": Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
devices() {
    local device name major minor mode
    record() { # NAME MODE LINKS MAJOR MINOR
        printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
            0 "$2" 0 0 "$3" 0 0 0 0 "$4" "$5" $((${#1} + 1)) 0 "$1"
        head -c $(((4 - (111 + ${#1}) % 4) % 4)) /dev/zero
    }
    record dev $((0040755)) 2 0 0
    for device in "$@"; do
        IFS=: read -r name major minor mode <<<"$device"
        record "dev/$name" $((0020000 | 0$mode)) 1 "$major" "$minor"
    done
    record 'TRAILER!!!' 0 1 0 0
}

# pack_initrd TREE: a directory tree as an archive for the kernel, the same bytes for the same tree.
pack_initrd() {
    (
        cd "$1" || exit 1
        find . -exec touch -h -d @0 {} +
        find . -print0 | LC_ALL=C sort -z |
            cpio --null --create --format=newc --owner=0:0 --reproducible --quiet | lz4 -l -q -c
    )
}
