"""What a script in the appliance may ask of the outside, with the command `outside` there. docs/appliance.md lists it.

Each request is a line of words; its answer a status and a line. Nothing here trusts the clock of the machine.
"""
import time

from .storage import occurrences


def _bytes(words):
    patterns = [bytes.fromhex(word) for word in words]
    if not patterns or any(len(pattern) < 8 for pattern in patterns):
        raise ValueError("search what? At least 8 bytes, in hexadecimal")
    return patterns


class Outside:
    def __init__(self, run):
        self.run = run
        self.cut_at = None

    def poll(self):
        """Carries out what was asked since the last call."""
        machine = self.run.machine
        for line in machine.outside.lines():
            number, *words = line.split()
            try:
                status, answer = self.answer(words)
            except ValueError as error:
                status, answer = 2, str(error)
            if status is None:
                return
            machine.outside.write(f"{number} {status} {answer}")
        if self.cut_at is not None and time.monotonic() >= self.cut_at:
            self.cut_at = None
            self.run.power_cut()

    def answer(self, words):
        match words:
            case ["power", "cut"]:
                self.run.power_cut()
                return None, ""
            case ["power", "cut", "after", seconds]:
                self.cut_at = time.monotonic() + float(seconds)
                return 0, ""
            case ["memory", "search", *patterns]:
                return 0, self._memory(_bytes(patterns))
            case ["disk", "search", *patterns]:
                machine, wanted = self.run.machine, _bytes(patterns)
                counts = [sum(occurrences(disk, one) for disk in (machine.root, *machine.disks)) for one in wanted]
                return 0, " ".join(map(str, counts))
            case ["storage", *rest]:
                return self._storage(rest)
        return 2, f"nobody outside knows what this means: {' '.join(words)}"

    def _memory(self, patterns):
        path = self.run.work / "memory"
        try:
            self.run.machine.dump(path)
            return " ".join(str(occurrences(path, pattern)) for pattern in patterns)
        finally:
            path.unlink(missing_ok=True)

    def _storage(self, words):
        host = self.run.storage
        if host is None:
            return 2, "this run has no storage host; start it with --storage"
        match words:
            case ["off"]:
                host.off()
                return 0, ""
            case ["on"]:
                host.on()
                return 0, ""
            case ["search", *patterns]:
                return 0, " ".join(map(str, host.search(_bytes(patterns))))
        return host.ask(" ".join(words))
