#!/usr/bin/env python3
"""safectl as a user meets it: what it prints, how it ends, what it leaves behind.

The hypervisor is libvirt's test:///default, which lives and dies with the process: enough for everything but convergence, which
the system tests and the appliance prove. SAFECTL names the program, SAFE_SOURCE_DIR the checkout.
"""
import contextlib
import json
import os
import pathlib
import pty
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import jsonschema

SAFECTL = os.environ["SAFECTL"]
SOURCE = pathlib.Path(os.environ["SAFE_SOURCE_DIR"])

SPEC = """\
version: 1
safe: atlas
suspend: ram
hypervisor: test:///default
vms:
  gateway: { role: service, boot: { kernel: kernel.bin }, memory: 64MiB, cpus: 1 }
  desktop: { role: workspace, boot: { kernel: kernel.bin }, memory: 64MiB, cpus: 1 }
"""

VAULT = "volumes: { vault: { role: vault, file: vault.img } }\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.spec = self.folder / "safe.yaml"
        self.spec.write_text(SPEC)
        (self.folder / "kernel.bin").write_bytes(b"kernel " * 1000)
        self.state = self.folder / "state"

    def run_safectl(self, *arguments, status, **options):
        result = subprocess.run([SAFECTL, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                                stdin=subprocess.DEVNULL, cwd=self.folder, **options)
        self.assertEqual(result.returncode, status, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def plan(self, *arguments, status):
        return self.run_safectl("plan", "--state-dir", self.state, *arguments, status=status)

    def apply(self, *arguments, status):
        return self.run_safectl("apply", "--state-dir", self.state, *arguments, status=status)

    def small_disk(self):
        """The state directory on a file system of 256 KiB."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small tmpfs needs root")
        self.state.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", self.state], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.state])

    def tree(self):
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))


class Usage(Case):
    def test_help_and_version_succeed(self):
        self.assertIn("Exit codes", self.run_safectl("--help", status=0).stdout)
        self.assertIn("safectl 0", self.run_safectl("--version", status=0).stdout)
        for command in ("validate", "plan", "apply", "schema"):
            self.run_safectl(command, "--help", status=0)

    def test_wrong_usage_is_1(self):
        for arguments in ([], ["frobnicate"], ["plan", "--mode", "ajar"], ["plan", "--format", "xml"],
                          ["apply", "--max-disruption", "irreversible"], ["apply", "a.plan", "--mode", "open"]):
            self.assertNotEqual(self.run_safectl(*arguments, status=1).stderr, "", arguments)


class Validate(Case):
    def test_a_sound_spec(self):
        self.assertIn("safe atlas is valid", self.run_safectl("validate", status=0).stdout)

    def test_every_error_at_once_with_its_place(self):
        self.spec.write_text(SPEC.replace("suspend: ram\n", "").replace("cpus: 1", "cpus: none", 1).replace("64MiB", "64MB"))
        errors = self.run_safectl("validate", status=1).stderr
        for place in ("safe.yaml:5:", "safe.yaml:6:"):
            self.assertIn(place, errors)
        self.assertGreaterEqual(len(errors.splitlines()), 3, errors)

    def test_a_file_that_cannot_be_read(self):
        for path in ("missing.yaml", "."):
            errors = self.run_safectl("validate", "-f", path, status=1).stderr
            self.assertIn(path, errors)

    def test_half_a_file(self):
        whole = SPEC.encode()
        for length in range(0, len(whole) - 1, 7):
            self.spec.write_bytes(whole[:length])
            result = subprocess.run([SAFECTL, "validate", "-f", str(self.spec)], capture_output=True, text=True, timeout=60)
            self.assertIn(result.returncode, (0, 1))
            if result.returncode == 1:
                self.assertIn("safe.yaml", result.stderr)

    def test_it_touches_nothing(self):
        before = self.tree()
        self.run_safectl("validate", status=0)
        self.assertEqual(self.tree(), before)


class Plan(Case):
    def test_exit_codes(self):
        self.plan(status=0)
        self.plan("--exit-code", status=2)

    def test_closed_leaves_the_workspace_off_and_open_starts_it(self):
        self.assertNotIn("power/desktop", self.plan(status=0).stdout)
        self.assertIn("power/desktop", self.plan("--mode", "open", status=0).stdout)

    def test_it_touches_nothing(self):
        before = self.tree()
        self.plan("--mode", "open", status=0)
        self.assertEqual(self.tree(), before)

    def test_no_colour_when_nobody_looks(self):
        self.assertNotIn("\x1b", self.plan(status=0).stdout)

    def test_colour_on_a_terminal(self):
        main, other = pty.openpty()
        subprocess.run([SAFECTL, "plan", "--state-dir", self.state], stdout=other, cwd=self.folder, timeout=60,
                       env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
        os.close(other)
        output = b""
        try:
            while chunk := os.read(main, 65536):
                output += chunk
        except OSError:
            pass
        os.close(main)
        self.assertIn(b"\x1b[", output)

    def test_no_libvirtd_is_unknown_with_a_way_out(self):
        self.spec.write_text(SPEC.replace("test:///default", "qemu+unix:///system?socket=/nonexistent/socket"))
        result = self.plan("--exit-code", status=1)
        self.assertIn("unknown", result.stdout)
        self.assertIn("libvirt", result.stdout)
        self.assertNotIn("  + vm/", result.stdout, "what is unknown is never taken for absent")

    def test_what_cannot_be_handled_is_refused_by_name(self):
        self.spec.write_text(SPEC.replace("boot: { kernel: kernel.bin }", "image: kernel.bin", 1))
        self.assertIn("image (", self.plan(status=4).stdout)

    def test_user_data_that_is_not_there_is_said_with_its_place_in_the_spec(self):
        (self.folder / "disk.img").write_bytes(bytes(4096))
        with_seed = "image: disk.img, cloud-init: { user-data: gate.yaml }"
        self.spec.write_text(SPEC.replace("boot: { kernel: kernel.bin }", with_seed, 1))
        self.assertIn("gate.yaml (safe.yaml:6:", self.plan("--exit-code", status=1).stdout)
        (self.folder / "gate.yaml").write_text("#cloud-config\n{}\n")
        self.assertIn("+ vm/gateway", self.plan("--exit-code", status=2).stdout)

    def test_a_lock_in_the_file_is_not_overruled(self):
        self.spec.write_text(SPEC.replace("safe: atlas", "safe: atlas\nmode: locked"))
        self.assertIn("changing the file", self.plan("--mode", "open", status=4).stderr)
        self.plan("--mode", "locked", status=0)

    def test_a_missing_kernel_is_said_before_anything_is_done(self):
        (self.folder / "kernel.bin").unlink()
        result = self.plan("--exit-code", status=1)
        self.assertIn("kernel.bin", result.stdout)

    def test_the_same_plan_twice_is_the_same_bytes(self):
        first = self.plan("--format", "json", "--mode", "open", status=0).stdout
        self.assertEqual(first, self.plan("--format", "json", "--mode", "open", status=0).stdout)


class Apply(Case):
    def test_nobody_there_to_confirm(self):
        self.assertIn("--yes", self.apply(status=4).stderr)
        self.assertFalse((self.state / "atlas" / "images").exists(), "nothing may have been touched")

    def test_it_says_what_it_did(self):
        output = self.apply("--yes", "--mode", "open", status=0).stdout
        for line in ("define vm/desktop", "start power/desktop", "nothing left to do"):
            self.assertIn(line, output)

    def test_json_is_one_document(self):
        report = json.loads(self.apply("--yes", "--format", "json", status=0).stdout)
        self.assertEqual(report["kind"], "report")
        self.assertTrue(all(outcome["outcome"] == "done" for outcome in report["outcomes"]))

    def test_a_wrong_checksum_keeps_nothing(self):
        (self.folder / "disk.qcow2").write_bytes(b"not what was promised")
        self.spec.write_text(SPEC + f"  forge: {{ role: service, image: disk.qcow2, sha256: \"{'0' * 64}\", memory: 64MiB, cpus: 1 }}\n")
        result = self.apply("--yes", status=1)
        self.assertIn("0" * 64, result.stdout)
        kept = [path for path in (self.state / "atlas" / "images").rglob("*") if path.is_file() and "disk" in str(path)]
        self.assertEqual([path for path in kept if path.read_bytes() == b"not what was promised"], [])

    def test_one_apply_at_a_time(self):
        (self.state / "atlas").mkdir(parents=True)
        holder = subprocess.Popen(["flock", self.state / "atlas" / "lock", "sleep", "30"])
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        time.sleep(0.5)
        self.assertIn("is applying", self.apply("--yes", status=4).stderr)

    def test_a_state_directory_that_cannot_be_made(self):
        self.state.write_text("a file, where a directory should be")
        self.assertIn("state directory", self.apply("--yes", status=1).stderr)

    def test_a_full_disk(self):
        self.small_disk()
        (self.folder / "kernel.bin").write_bytes(b"k" * 1_000_000)
        self.assertIn("No space left", self.apply("--yes", status=1).stdout)
        (self.folder / "kernel.bin").write_bytes(b"k" * 1000)
        self.apply("--yes", status=0)

    def test_a_first_key_is_for_a_name_that_a_user_can_have(self):
        self.spec.write_text(SPEC + VAULT)
        for name in ("alice/x", "Alice", "", "-a", "a" * 21):
            with self.subTest(name):
                errors = self.run_safectl("open", "--user", name, "--state-dir", self.state, status=4).stderr
                self.assertRegex(errors, "lower-case|nobody's key")

    def test_the_journal_is_private_and_readable_json(self):
        self.apply("--yes", status=0)
        journal = self.state / "atlas" / "journal.jsonl"
        self.assertEqual(stat.S_IMODE(journal.stat().st_mode), 0o600)
        events = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
        self.assertEqual((events[0], events[-1]), ("apply", "applied"))

    def test_max_disruption_is_kept_for_the_whole_plan(self):
        self.apply("--yes", "--max-disruption", "none", status=0)


class PlanFile(Case):
    def test_what_was_agreed_is_applied(self):
        self.plan("--mode", "open", "--out", "agreed", status=0)
        self.assertIn("start power/desktop", self.apply("agreed", "--yes", status=0).stdout)

    def test_a_changed_spec_is_refused(self):
        self.plan("--out", "agreed", status=0)
        self.spec.write_text(SPEC.replace("64MiB", "96MiB"))
        self.assertIn("moved on", self.apply("agreed", "--yes", status=4).stderr)

    def test_a_changed_plan_is_refused(self):
        self.plan("--out", "agreed", status=0)
        file = self.folder / "agreed"
        file.write_text(file.read_text().replace('"verb": "define"', '"verb": "destroy"'))
        self.apply("agreed", "--yes", status=4)

    def test_something_else_is_no_plan_file(self):
        for content in ("", "{}", "[1]", '{"kind": "plan-file"}', '{"kind": 5}',
                        '{"kind":"plan-file","version":"x"}', '{"kind":"plan-file","version":1,"plan":{},"spec_file":3}',
                        '{"kind":"plan-file","version":1,"spec_file":"x","plan":' + "[" * 200000 + "]" * 200000 + "}"):
            (self.folder / "agreed").write_text(content)
            self.assertIn("agreed", self.apply("agreed", "--yes", status=1).stderr)


class Interrupt(Case):
    def test_ctrl_c_ends_in_order_and_the_next_apply_goes_on(self):
        # An image that takes a while to import: a sparse file costs nothing but the reading.
        with open(self.folder / "kernel.bin", "wb") as kernel:
            kernel.truncate(4 << 30)
        process = subprocess.Popen([SAFECTL, "apply", "--yes", "--state-dir", self.state], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        journal = self.state / "atlas" / "journal.jsonl"
        for _ in range(600):
            if journal.exists() and '"event":"step"' in journal.read_text():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, output + errors)
        self.assertIn("applied", journal.read_text().splitlines()[-1])
        (self.folder / "kernel.bin").write_bytes(b"small now")
        self.apply("--yes", status=0)


class Formats(Case):
    def check(self, kind, text):
        schema = json.loads((SOURCE / "docs" / "schema" / f"{kind}.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))

    def test_plan(self):
        self.check("plan", self.plan("--format", "json", "--mode", "open", status=0).stdout)

    def test_report(self):
        self.check("report", self.apply("--format", "json", "--yes", status=0).stdout)

    def test_events_come_about_one_a_line(self):
        (self.folder / "kernel.bin").write_bytes(bytes(64 << 20))
        events = []
        for line in self.apply("--format", "json", "--yes", "--mode", "open", status=0).stderr.splitlines():
            self.check("event", line)
            events.append(json.loads(line))
        self.assertEqual(events[0]["event"], "round")
        for resource in ("image/kernel.bin", "power/desktop"):
            told = [one["event"] for one in events if one.get("resource") == resource and one["event"] != "progress"]
            self.assertEqual(told, ["step", "end"], resource)
        self.assertIn("progress", {one["event"] for one in events})

    def test_nothing_waits_for_whoever_does_not_read_events(self):
        read, write = os.pipe()
        for gone in (False, True):
            with self.subTest(gone):
                if gone:
                    os.close(read)
                else:
                    os.set_blocking(write, False)
                    with contextlib.suppress(BlockingIOError):
                        while os.write(write, bytes(4096)):
                            pass
                    os.set_blocking(write, True)
                result = subprocess.run([SAFECTL, "apply", "--state-dir", self.state, "--format", "json", "--yes", "--mode",
                                         "closed" if gone else "open"], stdout=subprocess.PIPE, stderr=write, timeout=60,
                                        stdin=subprocess.DEVNULL, cwd=self.folder)
                self.assertEqual(result.returncode, 0)
                self.check("report", result.stdout)
        os.close(write)

    def test_an_error_is_one_line(self):
        self.state.write_text("a file in its way")
        lines = self.apply("--format", "json", "--yes", status=1).stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.check("event", lines[0])
        self.assertEqual(json.loads(lines[0])["kind"], "error")

    def test_answers(self):
        self.check("answers", self.run_safectl("validate", "--format", "json", status=0).stdout)
        for command in (["status"], ["task", "list"]):
            with self.subTest(command):
                self.check("answers", self.run_safectl(*command, "--state-dir", self.state, "--format", "json", status=0).stdout)

    def test_what_is_wrong_with_a_spec_is_a_line_each(self):
        self.spec.write_text(SPEC.replace("cpus: 1", "cpus: none").replace("64MiB", "64MB"))
        for command in ("validate", "plan"):
            with self.subTest(command):
                result = self.run_safectl(command, "--format", "json", status=1)
                lines = result.stderr.splitlines()
                self.assertEqual(len(lines), 4, lines)
                for line in lines:
                    self.check("event", line)
                self.assertEqual({(json.loads(line)["kind"], json.loads(line)["line"]) for line in lines},
                                 {("diagnostic", 6), ("diagnostic", 7)})
                if command == "validate":
                    self.check("answers", result.stdout)
                    self.assertFalse(json.loads(result.stdout)["valid"])

    def test_golden_plans(self):
        stories = sorted((SOURCE / "tests" / "golden").glob("*/plan.json"))
        self.assertGreaterEqual(len(stories), 10)
        for story in stories:
            with self.subTest(story.parent.name):
                self.check("plan", story.read_text())

    def test_the_schema_of_the_language_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(json.loads(self.run_safectl("schema", status=0).stdout))
        self.assertIn("# ", self.run_safectl("schema", "--reference", status=0).stdout)


if __name__ == "__main__":
    unittest.main()
