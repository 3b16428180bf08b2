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

# pack_initrd TREE: a directory tree as an archive for the kernel, the same bytes for the same tree.
pack_initrd() {
    (
        cd "$1" || exit 1
        find . -exec touch -h -d @0 {} +
        find . -print0 | LC_ALL=C sort -z |
            cpio --null --create --format=newc --owner=0:0 --reproducible --quiet | lz4 -l -q -c
    )
}
