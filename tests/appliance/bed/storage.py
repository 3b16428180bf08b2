"""The storage host: a second machine, apart from the safe's, with an iSCSI target, joined to it by one wire.

It goes on from the same ready state and runs storage/host as its script, which carries out the words of a request; switching
the whole machine off and on, and looking into its disks from the outside, is done here.
"""
import mmap
import time

from .machine import Lost, Machine, overlay


def occurrences(path, pattern):
    """How often the bytes lie in a file."""
    with open(path, "rb") as file:
        if file.seek(0, 2) == 0:
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            count, at = 0, text.find(pattern)
            while at >= 0:
                count, at = count + 1, text.find(pattern, at + 1)
            return count


class StorageHost:
    def __init__(self, folder, kind, ready, payload, lan, go, disks=None):
        self.folder, self.ready, self.go = folder, ready, go
        folder.mkdir(parents=True)
        self.machine = Machine(folder, kind, root=folder / "root.qcow2", payload=payload, lan=lan, disks=disks)
        self.number = 0

    def on(self):
        """Powers it on: the same disks, everything else as new. Returns once its target answers."""
        if self.machine.alive():
            return
        (self.folder / "root.qcow2").unlink(missing_ok=True)
        overlay(self.ready / "disk.qcow2", self.folder / "root.qcow2")
        self.machine.start(self.ready / "state")
        self.machine.control.write(self.go("storage"))
        self.ask("ping", limit=120)

    def off(self):
        self.machine.stop(power_cut=True)

    def ask(self, words, limit=60):
        """Has its script carry out a request. Returns (status, answer)."""
        if not self.machine.alive():
            return 1, "the storage host is off"
        self.number += 1
        self.machine.outside.write(f"{self.number} {words}")
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for line in self.machine.outside.lines():
                number, status, answer = (line.split(" ", 2) + ["", ""])[:3]
                if number == str(self.number):
                    return int(status), answer
            if not self.machine.alive():
                break
            time.sleep(0.02)
        raise Lost(125, f"the storage host does not answer: {words}")

    def search(self, patterns):
        """How often each of the byte strings lies on its disks, as they lie on this machine."""
        self.ask("sync")
        return [sum(occurrences(disk, pattern) for disk in self.machine.disks) for pattern in patterns]
