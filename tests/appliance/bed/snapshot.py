"""The ready state: a machine that has booted, with libvirt up, taken once and gone on from in every run.

Kept in the cache under a digest of all that went into it, as two files never written again: disk.qcow2, an overlay on the root
disk, and state, what QEMU sends when a machine moves. Unlike a snapshot inside the disk, nothing of it has to be copied for a run.
"""
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

from .machine import KERNEL, Lost, Machine, overlay

# Seconds after which a state that nobody has gone on from is removed when another is made. No run lasts that long.
UNUSED = 2 * 24 * 3600


def digest(kind):
    """Of the image's inputs, the machine's arguments and QEMU itself: any other, and the state would not load."""
    # Where its files lie makes no difference to a machine.
    here = pathlib.Path("/machine")
    probe = Machine.__new__(Machine)
    probe.folder, probe.kind = here, dataclasses.replace(kind, image=kind.image.name)
    probe.root, probe.payload, probe.out, probe.durable = here / "root", here / "payload", here / "out", False
    probe.disks, probe.lan, probe.boots = [here / "disk1", here / "disk2", here / "disk3"], (here / "a", here / "b"), 0
    version = subprocess.run([kind.program, "--version"], capture_output=True, text=True, check=True).stdout
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = next((line for line in file if line.startswith("model name")), "") if "kvm" in kind.accelerator else ""
    return hashlib.sha256("\0".join([*probe.arguments(), version, processor, KERNEL]).encode()).hexdigest()[:16]


def ready(cache, kind, limit, keep_console):
    """The folder of the ready state, made first if need be. Two makers at once wait for each other."""
    kept = cache / f"ready-{digest(kind)}"
    if kept.exists():
        os.utime(kept)
        return kept
    with open(cache / "ready.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            return kept
        for old in cache.glob("ready-*"):
            if old.name.startswith("ready-tmp.") or old.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(old, ignore_errors=True)
        work = pathlib.Path(tempfile.mkdtemp(prefix="ready-tmp.", dir=cache))
        machine = Machine(work / "machine", kind, root=overlay(kind.image / "root.img", work / "disk.qcow2", "raw"))
        try:
            machine.boot(limit)
            machine.monitor.do("stop")
            machine.monitor.do("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            machine.monitor.do("migrate", uri=f"exec:cat > {shlex.quote(str(work / 'state'))}")
            end = time.monotonic() + 120
            while (status := machine.monitor.do("query-migrate")["status"]) != "completed":
                if status == "failed" or time.monotonic() > end:
                    raise Lost(125, f"its ready state could not be taken: {status}")
                time.sleep(0.05)
        except Lost:
            keep_console(machine)
            raise
        finally:
            machine.stop()
        shutil.rmtree(work / "machine")
        for name in ("state", "disk.qcow2"):
            os.chmod(work / name, 0o444)
        os.rename(work, kept)
    return kept

