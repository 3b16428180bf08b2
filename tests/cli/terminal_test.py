"""Somebody at a terminal: what they type for a password is not seen, only yes is a yes, and Ctrl-C ends the waiting."""
import codecs
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
import unittest

from cli_test import SAFECTL, SPEC, VAULT, Case

MEMBERS = SPEC + VAULT + """\
users:
  alice: { name: Alice Martin, super: true }
  bob: { name: Bob Stein }
directory: { ldap: "ldapi:///", base: "dc=atlas,dc=example,dc=org" }
"""


class Typist:
    """A process with a terminal of its own, and whoever sits at it."""

    def __init__(self, folder, *arguments):
        self.seen = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()  # a character may come in two pieces
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execv(SAFECTL, [SAFECTL, *map(str, arguments)])

    def read(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self.terminal, 65536)
        except OSError:  # nobody is at the other end any more
            return False
        self.seen += self.decoder.decode(chunk)
        return chunk != b""

    def until(self, text):
        end = time.monotonic() + 60
        while text not in self.seen:
            if time.monotonic() > end or not self.read(1) and self.is_over():
                raise AssertionError(f"never said {text!r}: {self.seen}")

    def echoes(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def until_silent(self):
        end = time.monotonic() + 60
        while self.echoes():
            if time.monotonic() > end:
                raise AssertionError(f"what is typed is seen: {self.seen}")
            time.sleep(0.01)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def is_over(self):
        return os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self):
        """Its exit code, once all that it has said is in seen."""
        end = time.monotonic() + 60
        while self.read(0.5) or not self.is_over():
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
                break
        self.echoed_at_the_end = self.echoes()
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self.terminal)
        return status


class Password(Case):
    def setUp(self):
        super().setUp()
        self.spec.write_text(MEMBERS)

    def enrol(self):
        typist = Typist(self.folder, "user", "enrol", "bob", "--sponsor", "alice", "--state-dir", self.state)
        typist.until("password of alice: ")
        typist.until_silent()
        return typist

    def test_is_not_seen_and_is_asked_for_twice(self):
        typist = self.enrol()
        typist.type("the word of alice\n")
        typist.until("new password of bob: ")
        typist.until_silent()
        typist.type("the word of bob 17\n")
        typist.until("once more: ")
        typist.until_silent()
        typist.type("the word of bob 71\n")
        self.assertEqual(typist.end(), 4, typist.seen)
        self.assertIn("typed in two ways", typist.seen)
        self.assertNotIn("the word of", typist.seen)
        self.assertTrue(typist.echoed_at_the_end)

    def test_an_empty_one_is_none(self):
        typist = self.enrol()
        typist.type("\n")
        self.assertEqual(typist.end(), 1, typist.seen)
        self.assertIn("it is empty", typist.seen)
        self.assertTrue(typist.echoed_at_the_end)

    def test_ctrl_c_ends_the_waiting_and_brings_the_echo_back(self):
        for stop in ("\x03", signal.SIGTERM, signal.SIGHUP):
            with self.subTest(stop):
                typist = self.enrol()
                typist.type("half a wo")
                if stop == "\x03":
                    typist.type(stop)
                else:
                    time.sleep(0.2)  # a key pressed is not yet a character that the terminal has taken
                    os.kill(typist.process, stop)
                self.assertEqual(typist.end(), 130, typist.seen)
                self.assertNotIn("half a wo", typist.seen)
                self.assertTrue(typist.echoed_at_the_end)

    def test_who_sits_at_the_prompt_keeps_nobody_waiting(self):
        typist = self.enrol()
        (self.state / "atlas").mkdir(parents=True, exist_ok=True)
        with open(self.state / "atlas" / "lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        typist.type("\x03")
        self.assertEqual(typist.end(), 130, typist.seen)

    def test_there_is_nobody_to_ask(self):
        errors = self.run_safectl("user", "enrol", "bob", "--state-dir", self.state, status=1, start_new_session=True).stderr
        self.assertIn("no terminal to ask on", errors)
        self.assertIn("--password-fd", errors)


class Consent(Case):
    def ask(self):
        typist = Typist(self.folder, "apply", "--state-dir", self.state)
        typist.until("steps? [y/N] ")
        return typist

    def test_only_yes_is_a_yes(self):
        for answer in ("\n", "n\n", "yess\n", "Y\n", "\x04", "y\x04\x04"):
            with self.subTest(answer):
                typist = self.ask()
                typist.type(answer)
                self.assertEqual(typist.end(), 4, typist.seen)
                self.assertIn("not confirmed", typist.seen)
        typist = self.ask()
        typist.type("y\n")
        self.assertEqual(typist.end(), 0, typist.seen)

    def test_a_lock_that_is_set_while_it_waits_is_not_run_over(self):
        typist = self.ask()
        command = [SAFECTL, "lock", "--reason", "suspected", "--state-dir", self.state]
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True) as lock:
            for _ in range(200):  # it is on the medium, and waits for the safe's own lock
                if "locked" in self.run_safectl("status", "--state-dir", self.state, status=0).stdout:
                    break
                time.sleep(0.05)
            typist.type("y\n")
            self.assertEqual(typist.end(), 4, typist.seen)
            self.assertIn("it is to be locked now", typist.seen)
            lock.stdout.read()
            self.assertEqual(lock.wait(), 0)
        journal = (self.state / "atlas" / "journal.jsonl").read_text()
        self.assertEqual(journal.count('"event":"apply"'), 1)
        self.assertIn('"mode":"locked"', journal)

    def test_a_yes_is_to_the_file_that_was_shown(self):
        typist = self.ask()
        self.spec.write_text(self.spec.read_text() + "# something else\n")
        typist.type("y\n")
        self.assertEqual(typist.end(), 4, typist.seen)
        self.assertIn("it was changed meanwhile", typist.seen)
        self.assertFalse((self.state / "atlas" / "journal.jsonl").exists())

    def test_nobody_is_stopped_in_the_middle(self):
        typist = self.ask()
        typist.type("\x1a")  # Ctrl-Z
        typist.type("y\n")
        self.assertEqual(typist.end(), 0, typist.seen)

    def test_ctrl_c_is_a_no(self):
        typist = self.ask()
        typist.type("y\x04")  # handed over, and no line yet
        time.sleep(0.5)
        typist.type("\x03")
        self.assertEqual(typist.end(), 130, typist.seen)
        self.assertFalse((self.state / "atlas" / "journal.jsonl").exists())


if __name__ == "__main__":
    unittest.main()
