# Disks that boot by a BIOS: SYSLINUX on a FAT partition, with the appliance's kernel; to be sourced after tests/appliance/lib.sh. In an
# emulated machine most of a boot goes by in the BIOS reading the kernel, and SYSLINUX asks it for twice as much at a time as GRUB does.
# Writes only where told.
# shellcheck shell=bash

# take_kernel IMAGE FILE: the kernel as boot loaders want it, which only the root disk of the appliance's IMAGE has.
take_kernel() {
    local kernel
    kernel=$(debugfs -R 'ls -p /boot' "$1/root.img" 2>/dev/null | awk -F/ '$6 ~ /^vmlinuz-/ { print $6 }')
    [ -n "$kernel" ] || fail "no kernel in $1/root.img"
    debugfs -R "dump /boot/$kernel $2" "$1/root.img" 2>/dev/null
    [ -s "$2" ] || fail "the kernel could not be read out of $1/root.img"
}

# boot_record DISK: has the BIOS go on with the partition that is marked bootable.
boot_record() { dd if=/usr/lib/syslinux/mbr/mbr.bin of="$1" bs=440 count=1 conv=notrunc status=none; }

# boot_partition FILE START SECTORS KERNEL INITRD WORDS: what belongs on a partition, which begins at sector START of its disk. WORDS are
# the kernel's command line.
boot_partition() {
    local at=$1@@0
    truncate -s $(($3 * 512)) "$1"
    mformat -i "$at" -T "$3" -h 64 -s 32 -c 64 -H "$2" ::
    mcopy -i "$at" "$4" ::/vmlinuz
    mcopy -i "$at" "$5" ::/initrd.img
    printf 'DEFAULT linux\nPROMPT 0\nLABEL linux\n  LINUX vmlinuz\n  INITRD initrd.img\n  APPEND %s\n' "$6" | mcopy -i "$at" - ::/syslinux.cfg
    syslinux --install "$1"
}
