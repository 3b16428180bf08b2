"""One run of a script in the appliance, from its arguments to its status. The command is tests/appliance/run, which says more."""
import argparse
import os
import pathlib
import re
import secrets
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

from .machine import PAYLOAD_SIZE, Kind, Lost, Machine, overlay
from .outside import Outside
from .snapshot import ready
from .storage import StorageHost

HERE = pathlib.Path(__file__).resolve().parent.parent
# A kernel whose stacks are no stacks any more. Every other end of it, short memory among them, is for us to answer.
RAN_WILD = re.compile(r"Kernel panic - not syncing: (corrupted stack|stack-protector|Attempted to kill the idle task)")


def shell(command, *arguments):
    """A function of lib.sh, whose messages go to stderr."""
    done = subprocess.run(["bash", "-c", f'set -e; . "$0/lib.sh"; {command}', str(HERE), *map(str, arguments)],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)
    if done.returncode:
        raise SystemExit(125)
    return done.stdout.strip()


def options(arguments, usage):
    parser = argparse.ArgumentParser(prog="run", add_help=False, allow_abbrev=False)
    parser.add_argument("--payload", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--timeout", type=int, default=300)
    parser.add_argument("--memory", type=int, default=3072)
    parser.add_argument("--disk", type=pathlib.Path)
    parser.add_argument("--env", action="append", default=[])
    for flag in ("tty", "cold", "power", "storage", "shell"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("script", nargs="?")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def refuse(message):
        print(f"appliance: {message}; see run --help", file=sys.stderr)
        raise SystemExit(125)

    parser.error = refuse
    chosen = parser.parse_args(arguments)
    if chosen.help or not chosen.script:
        print(usage, file=sys.stdout if chosen.help else sys.stderr)
        raise SystemExit(0 if chosen.help else 125)
    if chosen.timeout < 1 or chosen.memory < 256:
        refuse("--timeout takes seconds, --memory at least 256 MB")
    if chosen.payload and not chosen.payload.is_dir():
        refuse(f"--payload: no folder {chosen.payload}")
    return chosen


class Run:
    def __init__(self, chosen):
        self.chosen = chosen
        self.boot_limit = int(os.environ.get("SAFE_APPLIANCE_BOOT_LIMIT", "300"))
        self.cache = pathlib.Path(shell('echo "$cache"'))
        shell("need_tools qemu-system-x86_64 qemu-img tar setpriv")
        image = pathlib.Path(shell('"$0/build"'))
        accelerator = tuple(shell('accelerator "$1"', image).split())
        # Debian 12's own emulation locks up under guests in the machine.
        program = "qemu-system-x86_64" if "kvm" in accelerator else shell('"$0/emulator"') + "/qemu-system-x86_64"
        self.kind = Kind(image, program, accelerator, chosen.memory)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="safe-appliance."))
        self.machine = self.storage = None
        self.printed = 0
        self.doing = "booting"
        self.begin = time.monotonic()
        self.ran_wild = False

    # --- what goes in

    def tar(self, name, payload, script, arguments):
        """The job and the payload, as a tar for a drive."""
        job = self.work / f"job-{name}" / "job"
        empty = self.work / "empty"
        job.mkdir(parents=True)
        empty.mkdir(exist_ok=True)
        # Not payload / script: an absolute path would win.
        if payload and os.path.isfile(f"{payload}/{script}"):
            program, original = f"/payload/{script}", pathlib.Path(f"{payload}/{script}")
        else:
            original, program = pathlib.Path(script), "/run/appliance/job/script"
            if not original.exists() or original.is_dir():
                raise Lost(125, f"no script {script}, neither in the payload nor here")
            # Not copy: the script may be a pipe.
            (job / "script").write_bytes(original.read_bytes())
            (job / "script").chmod(original.stat().st_mode & 0o777 | 0o600)
        command = [program, *arguments]
        if not os.access(original, os.X_OK):
            command.insert(0, "bash")
        lines = []
        if self.chosen.tty:
            size = shutil.get_terminal_size((80, 24))
            lines += [f"tty={size.lines}x{size.columns}", f"export TERM={shlex.quote(os.environ.get('TERM', 'linux'))}"]
        lines += [f"export {shlex.quote(pair)}" for pair in self.chosen.env]
        if self.chosen.shell:
            # Only on a terminal with an editor: it would lose an end of file that has come before its first prompt.
            lines += ["shell=editing" if os.isatty(0) else "shell=plain"]
        lines += ["set -- " + " ".join(map(shlex.quote, command))]
        (job / "command").write_text("\n".join(lines) + "\n", encoding="utf-8")
        archive = self.work / f"{name}.tar"
        owner = ["--owner=0", "--group=0"]
        subprocess.run(["tar", "-cf", archive, *owner, r"--transform=s,^\.,payload,rh", "-C", payload or empty, "."], check=True)
        subprocess.run(["tar", "-rf", archive, *owner, "-C", job.parent, "job"], check=True)
        if archive.stat().st_size > PAYLOAD_SIZE:
            raise Lost(125, f"the payload is larger than {PAYLOAD_SIZE >> 30} GiB")
        os.truncate(archive, PAYLOAD_SIZE)
        return archive

    def go(self, role):
        """What a machine that is ready is told: the time, its part, and randomness that no other run has had."""
        boot = self.machine.boots if role == "appliance" else 1
        lan = "lan" if self.chosen.storage else "alone"
        return f"go {time.time():.2f} {boot} {role} {lan} {secrets.token_hex(32)}"

    def start(self):
        chosen, kept = self.chosen, None
        if not (chosen.cold or chosen.disk) or chosen.storage:
            kept = ready(self.cache, self.kind, self.boot_limit, self.keep_console)
        payload = self.tar("payload", chosen.payload, chosen.script, chosen.arguments)
        root = chosen.disk or self.work / "root.qcow2"
        warm = not (chosen.cold or chosen.disk)
        if not root.exists():
            overlay(*((kept / "disk.qcow2", root) if warm else (self.kind.image / "root.img", root, "raw")))
        lan = (self.work / "safe.wire", self.work / "storage.wire")
        self.machine = Machine(self.work / "machine", self.kind, root=root, payload=payload,
                               lan=lan, durable=chosen.power or bool(chosen.disk))
        if chosen.storage:
            job = self.tar("storage", HERE / "storage", "host", [])
            self.storage = StorageHost(self.work / "storage", self.kind, kept, job, lan[::-1], self.go,
                                       chosen.disk and [chosen.disk.absolute().with_suffix(f".lun{n}") for n in (1, 2, 3)])
            self.storage.on()
        if warm:
            self.machine.start(kept / "state")
        else:
            self.machine.boot(self.boot_limit)
        self.machine.control.write(self.go("appliance"))
        self.doing = f"running {chosen.script}"

    def power_cut(self):
        """The machine loses its power, and boots again from the same disks; its script begins anew, with SAFE_BOOT one higher."""
        self.machine.stop(power_cut=True)
        self.show()
        self.printed = 0
        self.doing = "booting after a power cut"
        self.machine.boot(self.boot_limit)
        self.machine.control.write(self.go("appliance"))
        self.doing = f"running {self.chosen.script} after a power cut"

    # --- what comes out

    def show(self):
        with open(self.machine.live, "rb") as file:
            file.seek(self.printed)
            while text := file.read(1 << 20):
                self.printed += len(text)
                sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    def watch(self):
        """Until the script has ended. Returns its status."""
        outside = Outside(self)
        end, stopping = self.begin + self.chosen.timeout, False
        interactive = Terminal(self.machine.folder / "shell") if self.chosen.shell else None
        while True:
            alive = self.machine.alive()
            for line in self.machine.control.lines():
                word, _, value = line.partition(" ")
                if word == "shell" and interactive:
                    self.show()
                    interactive.relay(self.machine, end)
                elif word == "exit":
                    self.show()
                    if stopping:
                        self.bring_back(self.evidence_folder())
                        raise Lost(124, f"out of time: still {self.doing} after {self.chosen.timeout} s")
                    return int(value)
            self.show()
            if not alive:
                raise Lost(125, f"died while {self.doing}, after {time.monotonic() - self.begin:.0f} s: {self.machine.death()}")
            outside.poll()
            if time.monotonic() > end and not (interactive and interactive.used):
                # Given half a minute to hand back its journal and logs.
                if stopping:
                    raise Lost(124, f"out of time: still {self.doing} after {self.chosen.timeout} s, and it does not end when told to")
                self.machine.control.write("stop")
                stopping, end = True, time.monotonic() + 30
            time.sleep(0.03)

    def evidence_folder(self):
        return self.chosen.out or self.work / "evidence"

    def bring_back(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["tar", "-xf", self.machine.out, "--no-same-owner", "-C", folder], check=False,
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            raise Lost(125, "wrote no readable /out")

    def keep_console(self, machine):
        """The newest twenty are enough."""
        folder = self.cache / "consoles"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}.{secrets.token_hex(2)}.log"
        parts = [machine.console, machine.folder / "qemu.log"]
        if self.storage:
            parts += [self.storage.machine.console, self.storage.machine.folder / "qemu.log"]
            parts += sorted(self.storage.machine.folder.glob("live.*"))
        with open(folder / name, "wb") as kept:
            for part in parts:
                if part.exists():
                    kept.write(part.read_bytes())
        for old in sorted(folder.glob("*.log"), reverse=True)[20:]:
            old.unlink(missing_ok=True)
        lines = machine.said().splitlines()
        sys.stdout.flush()
        print("---- the appliance's console, its last lines", *lines[-60:], f"---- all of it: {folder / name}", sep="\n", file=sys.stderr)

    def end(self):
        for machine in (self.machine, self.storage and self.storage.machine):
            if machine:
                machine.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def __call__(self):
        try:
            self.start()
            status = self.watch()
            self.machine.stop()
            if self.chosen.out:
                self.bring_back(self.chosen.out)
            return status
        except Lost as lost:
            if self.machine and self.machine.boots:
                self.machine.stop()
                self.show()
                self.keep_console(self.machine)
                self.ran_wild = "kvm" not in self.kind.accelerator and bool(RAN_WILD.search(self.machine.said()))
            print(f"appliance: {lost}", file=sys.stderr)
            return lost.status
        finally:
            self.end()


class Terminal:
    """This terminal, or whatever is in its place, joined to a shell in the machine. A person may take their time; a pipe may not."""

    def __init__(self, path):
        self.path = path
        self.used = False

    def relay(self, machine, end):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.path))
            saved = termios.tcgetattr(0) if os.isatty(0) else None
            self.used = saved is not None
            if saved:
                tty.setraw(0)
            try:
                self._relay(machine, line, None if saved else end)
            finally:
                if saved:
                    termios.tcsetattr(0, termios.TCSADRAIN, saved)

    @staticmethod
    def _relay(machine, line, end):
        waiting = selectors.DefaultSelector()
        waiting.register(line, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        while machine.alive() and (end is None or time.monotonic() < end):
            for key, _ in waiting.select(0.1):
                text = os.read(key.fd, 4096)
                if key.fd == 0 and not text:
                    # The end of a file is what the shell ends at, too.
                    waiting.unregister(0)
                    line.sendall(b"\x04")
                elif key.fd == 0:
                    line.sendall(text)
                elif not text:
                    return
                else:
                    os.write(1, text)
            # The machine says on its control port when the shell has ended; peeking keeps that for the watcher.
            if machine.control.peek() and not waiting.select(0.3):
                return


def main(usage):
    def ended(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)
    chosen = options(sys.argv[1:], usage)
    run = Run(chosen)
    status = run()
    # Not what came through a pipe: there is no more of it.
    repeatable = not chosen.disk and pathlib.Path(chosen.payload or "", chosen.script).is_file()
    if run.ran_wild and repeatable:
        # docs/decisions/0057 says why, and why only here.
        print("appliance: an emulated processor ran wild: everything is begun again, once", file=sys.stderr, flush=True)
        status = Run(chosen)()
    return status
