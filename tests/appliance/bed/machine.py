"""One QEMU process: its arguments, its ports, its end.

Everything a machine knows comes from its arguments and its drives: no shared folders, so that a snapshot of the whole of it stays
possible, and always the same devices, because a snapshot is loaded only into the machine it was taken of. Not thread-safe.
Owns the files in its folder and the process; stop() ends it in any state, and should this program be killed, so is QEMU.
"""
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time

# init_on_free=1 is what a hypervisor must have: without it keys and file contents outlive the closing of a volume in free memory.
KERNEL = "console=ttyS0 panic=-1 quiet mitigations=off cryptomgr.notests init_on_free=1"
# Two guests that spin under nested KVM can starve a machine of two processors.
PROCESSORS = 4
# A drive keeps its size over a snapshot, whatever lies in it. All are sparse files.
PAYLOAD_SIZE = OUT_SIZE = 4 << 30
DISK_SIZE = 1 << 30
DISKS = 3
# What Linux says when a processor's timer did not wake who was waiting for it (kernel/rcu/tree_stall.h).
TIMER_LOST = b"timer wakeup didn't happen"


class Lost(Exception):
    """The appliance could not be built, did not boot, died, or ran out of time; status is the runner's."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Port:
    """Lines to and from the machine, over the two pipes of QEMU's pipe device; neither side ever waits for the other."""

    def __init__(self, path):
        self.path = path
        for end in (".in", ".out"):
            os.mkfifo(f"{path}{end}")
        self.to = os.open(f"{path}.in", os.O_RDWR | os.O_NONBLOCK)
        self.back = os.open(f"{path}.out", os.O_RDWR | os.O_NONBLOCK)
        self.rest, self.kept = b"", []

    def write(self, line):
        os.write(self.to, line.encode() + b"\n")

    def lines(self):
        """The whole lines that have come since the last call."""
        self.peek()
        whole, self.kept = self.kept, []
        return whole

    def peek(self):
        """The same, without taking them."""
        try:
            self.rest += os.read(self.back, 1 << 16)
        except BlockingIOError:
            pass
        *whole, self.rest = self.rest.split(b"\n")
        self.kept += [line.decode(errors="replace") for line in whole]
        return self.kept

    def close(self):
        os.close(self.to)
        os.close(self.back)
        for end in (".in", ".out"):
            os.unlink(f"{self.path}{end}")


class Monitor:
    """QEMU's own protocol (QMP): a command, and its answer or an error."""

    def __init__(self, path, limit=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(limit)
        end = time.monotonic() + limit
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise Lost(125, "QEMU does not open its monitor") from None
                time.sleep(0.02)
        self.file = self.socket.makefile("rw")
        self._answer()
        self.do("qmp_capabilities")

    def _answer(self):
        while True:
            try:
                line = self.file.readline()
            except OSError as error:
                raise Lost(125, f"QEMU's monitor does not answer: {error}") from error
            if not line:
                raise Lost(125, "QEMU closed its monitor")
            answer = json.loads(line)
            if "event" not in answer:
                return answer

    def do(self, command, limit=120, **arguments):
        self.socket.settimeout(limit)
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        answer = self._answer()
        if "error" in answer:
            raise Lost(125, f"QEMU refused {command}: {answer['error']['desc']}")
        return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


@dataclasses.dataclass(frozen=True)
class Kind:
    """What machines of one kind have in common: the folder that tests/appliance/build made, the QEMU program, its arguments for
    the accelerator, and megabytes of memory."""

    image: pathlib.Path
    program: str
    accelerator: tuple
    memory: int


class Machine:
    """A machine in a folder. root is its root disk (qcow2), payload a tar, disks the paths of its further disks (made if missing),
    lan the end of the wire to the other machine as a pair of socket paths (here, there)."""

    def __init__(self, folder, kind, *, root, payload=None, disks=None, lan=None, durable=False):
        self.folder, self.kind = folder, kind
        self.root, self.durable = root, durable
        folder.mkdir(parents=True, exist_ok=True)
        self.payload = payload or self._sparse("payload.tar", PAYLOAD_SIZE)
        self.out = self._sparse("out.raw", OUT_SIZE)
        self.disks = [self._sparse(disk, DISK_SIZE) for disk in disks or (f"disk{n}.raw" for n in range(1, DISKS + 1))]
        self.lan = lan or (folder / "lan.here", folder / "lan.there")
        self.process = self.control = self.outside = self.monitor = None
        self.boots = 0

    def _sparse(self, name, size):
        path = self.folder / name
        if not path.exists():
            with open(path, "wb") as file:
                file.truncate(size)
        return path

    @property
    def console(self):
        return self.folder / "console"

    def said(self):
        """What is on its console, for people."""
        return self.console.read_text(errors="replace").replace("\r", "") if self.console.exists() else ""

    @property
    def live(self):
        return self.folder / f"live.{self.boots}"

    def arguments(self):
        # A root disk that must outlive a killed QEMU, as a real one outlives a power cut, holds what the guest has flushed,
        # and of what it has not, only what QEMU happened to write. The other is faster.
        caching = "writeback" if self.durable else "unsafe"
        here, there = self.lan

        def drive(name, path, kind, *more):
            return ["-drive", ",".join([f"if=none,id={name},file={path},format={kind}", *more]),
                    "-device", f"virtio-blk-pci,drive={name}"]

        args = [
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            *self.kind.accelerator, "-machine", "pc", "-smp", str(PROCESSORS), "-m", str(self.kind.memory),
            "-kernel", f"{self.kind.image}/vmlinux", "-initrd", f"{self.kind.image}/initrd.img", "-append", KERNEL,
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
            *drive("root", self.root, "qcow2", f"cache={caching}"),
            *drive("payload", self.payload, "raw", "read-only=on"),
            *drive("out", self.out, "raw", "cache=unsafe"),
        ]
        for number, disk in enumerate(self.disks, 1):
            args += drive(f"disk{number}", disk, "raw", f"cache={caching}", "discard=unmap")
        args += ["-device", "virtio-serial-pci"]
        args += ["-chardev", f"file,id=live,path={self.live}", "-device", "virtserialport,chardev=live,name=safe.live"]
        for name in ("control", "outside"):
            args += ["-chardev", f"pipe,id={name},path={self.folder}/{name}.{self.boots}",
                     "-device", f"virtserialport,chardev={name},name=safe.{name}"]
        args += ["-chardev", f"socket,id=shell,path={self.folder}/shell,server=on,wait=off", "-device", "virtconsole,chardev=shell"]
        # Datagrams, so that either end may come and go as it likes.
        args += ["-netdev", f"dgram,id=lan,local.type=unix,local.path={here},remote.type=unix,remote.path={there}",
                 "-device", "virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:00:02:ff"]
        args += ["-qmp", f"unix:{self.folder}/monitor,server=on,wait=off"]
        return args

    def start(self, state=None):
        """Boots, or goes on where the file state was taken."""
        self.boots += 1
        self.live.touch()
        self.control = Port(self.folder / f"control.{self.boots}")
        self.outside = Port(self.folder / f"outside.{self.boots}")
        command = ["setpriv", "--pdeathsig", "KILL", self.kind.program, *self.arguments()]
        if state:
            command += ["-incoming", f"exec:cat {shlex.quote(str(state))}"]
        with open(self.folder / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.monitor = Monitor(self.folder / "monitor")
            if state:
                self._go_on()
        except (OSError, Lost):
            self.stop()
            raise

    def _go_on(self):
        # It was taken of a machine that stood still, and so stands still until told otherwise.
        end = time.monotonic() + 60
        while self.monitor.do("query-status")["status"] == "inmigrate":
            if not self.alive() or time.monotonic() > end:
                raise Lost(125, "the ready state does not load")
            time.sleep(0.02)
        self.monitor.do("cont")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def death(self):
        """How a QEMU that is no longer alive ended, and what it said last."""
        status = self.process.poll()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        said = (self.folder / "qemu.log").read_text(errors="replace").splitlines()
        return f"QEMU ended {how}" + (f", saying: {said[-1]}" if said else "")

    def heard(self):
        """How much its console has said."""
        return self.console.stat().st_size if self.console.exists() else 0

    def boot(self, limit):
        """Starts, and waits until the machine says that it is ready; it then waits to be told to go on. Emulation seldom, but now and then,
        ends before the kernel has said a word, or loses the timer of a processor, which then sleeps for good, and the kernel complains.
        Nothing of what is tested has run by then, so it is started once more, and that is said."""
        for again in (True, False):
            heard = self.heard()
            try:
                self.start()
                message = self._wait_until_ready(limit, heard, patient=not again)
                if message is None:
                    return
                lost_by_emulation = self.alive() or self.heard() == heard
            except Lost as lost:
                if self.alive():
                    raise
                message, lost_by_emulation = str(lost), self.heard() == heard
            if not again or not lost_by_emulation:
                raise Lost(125, message)
            print(f"appliance: {message}; started once more", file=sys.stderr)
            self.stop()
            self.boots -= 1

    def _wait_until_ready(self, limit, heard, patient):
        """None, or what happened instead. Who is not patient does not wait for one whose kernel complains of a lost timer, nor take it for
        ready: it would be slow in all that follows."""
        end = time.monotonic() + limit
        while self.alive() and time.monotonic() < end:
            if not patient and self.heard() > heard:
                said = self.console.read_bytes()[heard:]
                if TIMER_LOST in said:
                    return "its kernel lost a processor's timer while booting"
            if "ready" in self.control.lines():
                return None
            time.sleep(0.05)
        return f"did not boot within {limit} s" if self.alive() else f"died while booting: {self.death()}"

    def stop(self, power_cut=False):
        """Ends QEMU, and waits for it. A power cut is the end without warning: what QEMU had not written yet is lost."""
        if self.process is None:
            return
        if not power_cut:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        self.process.wait()
        self.process = None
        for part in (self.control, self.outside, self.monitor):
            if part:
                part.close()
        self.monitor = None
        for name in ("monitor", "shell"):
            (self.folder / name).unlink(missing_ok=True)

    def dump(self, path):
        """All of its memory into a file; the machine stands still meanwhile."""
        running = self.monitor.do("query-status")["running"]
        if running:
            self.monitor.do("stop")
        try:
            self.monitor.do("dump-guest-memory", paging=False, protocol=f"file:{path}", limit=300)
        finally:
            if running:
                self.monitor.do("cont")


def overlay(backing, path, kind="qcow2"):
    """A copy-on-write disk on another."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", os.path.realpath(backing), path],
                   check=True, stdin=subprocess.DEVNULL)
    return pathlib.Path(path)
