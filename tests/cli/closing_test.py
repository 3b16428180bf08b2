"""Closing and locking are carried out whoever reads what they say, and whatever the disk takes.

A workspace VM of the safe runs on libvirt's test driver, in a hypervisor read from a file: each command finds it running, and the
journal tells whether it was put to sleep.
"""
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
import unittest
import uuid

from cli_test import SAFECTL, SPEC, Case
from terminal_test import Typist

HYPERVISOR = """\
<node>
  <domain type='test'>
    <name>atlas-stray</name>
    <uuid>{uuid}</uuid>
    <metadata>
      <safe:owner xmlns:safe="urn:digital-safe:owner:1" safe="atlas" vm="stray" role="workspace" memory="67108864"/>
    </metadata>
    <memory unit='MiB'>64</memory>
    <vcpu>1</vcpu>
    <os><type>hvm</type></os>
  </domain>
</node>
"""
COMMANDS = (["close"], ["lock", "--reason", "suspected"])


class Running(Case):
    """A VM runs that closing puts to sleep."""

    def setUp(self):
        super().setUp()
        node = self.folder / "node.xml"
        ours = uuid.uuid5(uuid.UUID("e42c8e6a-80ee-49bf-8918-7db0f6e294df"), "atlas/stray")  # specs/identity.cpp
        node.write_text(HYPERVISOR.format(uuid=ours))
        self.spec.write_text(SPEC.replace("test:///default", f"test://{node}"))
        self.journal = self.state / "atlas" / "journal.jsonl"

    def ended(self, event='"resource":"power/stray","action":"remove","outcome":"done"'):
        return self.journal.read_text().count(event) if self.journal.exists() else 0

    def wait_until(self, true, what):
        end = time.monotonic() + 30
        while not true():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def start(self, command, **streams):
        process = subprocess.Popen([SAFECTL, *command, "--state-dir", self.state], cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, **streams)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def is_free(self):
        try:
            with self.another_run():
                return True
        except BlockingIOError:
            return False

    @contextlib.contextmanager
    def another_run(self):
        """Holds the safe's lock meanwhile."""
        (self.state / "atlas").mkdir(parents=True, exist_ok=True)
        with open(self.state / "atlas" / "lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


class Reader(Running):
    def test_one_who_has_gone_ends_nothing(self):
        for command in COMMANDS:
            for ignored in (False, True):  # SIGPIPE, as whoever starts it left it
                with self.subTest(command, ignored=ignored):
                    before = self.ended()
                    read, write = os.pipe()
                    os.close(read)
                    process = self.start(command, stdout=write, stderr=write, restore_signals=not ignored)
                    os.close(write)
                    self.assertEqual(process.wait(timeout=60), 0)
                    self.assertEqual(self.ended(), before + 1)

    def test_one_who_leaves_after_the_first_line_ends_nothing(self):
        with self.another_run():
            process = self.start(COMMANDS[1], stdout=subprocess.PIPE)
            self.assertIn("is locked", process.stdout.readline())
            process.stdout.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(self.ended(), 1)

    def test_one_who_never_reads_is_not_waited_for_until_the_end(self):
        for times, command in enumerate(COMMANDS, 1):
            with self.subTest(command):
                read, write = os.pipe()
                os.set_blocking(write, False)
                with contextlib.suppress(BlockingIOError):
                    while os.write(write, bytes(4096)):
                        pass
                os.set_blocking(write, True)
                process = self.start(command, stdout=write, stderr=write)
                os.close(write)
                self.wait_until(lambda: self.ended('"event":"applied"') == times, "it waits for its reader")
                self.assertEqual(self.ended(), times)
                self.wait_until(self.is_free, "it holds up others")
                with open(read, "rb") as reader:
                    self.assertIn(b"suspend power/stray", reader.read())
                self.assertEqual(process.wait(timeout=60), 0)

    def test_a_terminal_that_has_gone_ends_nothing(self):
        for times, (command, begun) in enumerate(zip(COMMANDS, ("logins are held", "locked by root")), 1):
            with self.subTest(command):
                with self.another_run():
                    typist = Typist(self.folder, *command, "--state-dir", self.state)
                    self.wait_until(lambda: begun in self.status(), "it has not begun")
                    os.close(typist.terminal)
                    time.sleep(0.3)
                    self.assertFalse(typist.is_over())
                os.waitpid(typist.process, 0)
                self.assertEqual(self.ended(), times)

    def status(self):
        return self.run_safectl("status", "--state-dir", self.state, status=0).stdout

    def test_a_result_that_could_not_be_written_is_no_success(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = self.start(["plan"], stdout=full, stderr=subprocess.PIPE)
            self.assertIn("No space left", process.communicate(timeout=60)[1])
        self.assertEqual(process.returncode, 1)


class Disk(Running):
    """Nothing can be written where the journal and the store of what people want lie."""

    def setUp(self):
        super().setUp()
        self.small_disk()
        self.apply("--yes", "--mode", "open", status=0)

    def fill(self):
        with contextlib.suppress(OSError), open(self.state / "filled", "ab", buffering=0) as filler:
            while True:
                filler.write(b"f" * 4096)

    def cut(self):
        """The journal's last line ends where there was no more room."""
        with open(self.journal, "ab") as journal:
            journal.write(b"{" + b" " * (-journal.tell() % 4096 - 1))
        self.assertEqual(self.journal.stat().st_size % 4096, 0)

    def check_closing(self, fault):
        for command in COMMANDS:
            with self.subTest(command):
                done = self.run_safectl(*command, "--format", "json", "--state-dir", self.state, status=1)
                report = json.loads(done.stdout)
                self.assertRegex(done.stderr, fault)
                [slept] = [one for one in report["outcomes"] if one["resource"] == "power/stray"]
                self.assertIn(slept.get("error", {}).get("attempt"), (None, "write the journal"))
                left = [one["resource"] for one in report["remaining"]["steps"]]
                self.assertNotIn("power/stray", left, "it sleeps")
                self.assertEqual("power/gateway" in left, "error" in slept, "what does not close needs its record")
                said = self.run_safectl(*command, "--state-dir", self.state, status=1).stdout
                self.assertNotIn("nobody can open it", said)

    def test_a_full_one_keeps_nobody_from_closing(self):
        self.fill()
        self.check_closing("full|No space left")

    def test_a_journal_that_was_cut_by_it_does_not_either(self):
        self.cut()
        self.fill()
        self.check_closing("full|No space left")

    def test_one_that_is_read_only_does_not_either(self):
        subprocess.run(["mount", "-o", "remount,ro", self.state], check=True)
        self.check_closing("[Rr]ead-only")

    def test_with_room_again_the_journal_goes_on_in_a_line_of_its_own(self):
        self.cut()
        self.fill()
        self.run_safectl("close", "--state-dir", self.state, status=1)
        (self.state / "filled").unlink()
        self.run_safectl("close", "--state-dir", self.state, status=0)
        lines = self.journal.read_text().splitlines()
        cut = next(place for place, line in enumerate(lines) if line.endswith(" "))
        self.assertEqual(json.loads(lines[cut + 1])["event"], "apply")


if __name__ == "__main__":
    unittest.main()
