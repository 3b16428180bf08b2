#!/usr/bin/env python3
"""safectl verify and safectl doctor on the machine that runs the tests: what they print, how they end, what they find when
something is planted that needs no kernel of a hypervisor's. The rest is found in unit tests and in the appliance.
"""
import json
import os
import pathlib
import subprocess
import unittest

import jsonschema

from cli_test import SAFECTL, SOURCE, Case

SPEC = """\
version: 1
safe: verified
suspend: disk
volumes:
  vault: { role: vault, file: vault.img }
"""


class Checked(Case):
    def setUp(self):
        super().setUp()
        self.spec.write_text(SPEC)
        self.vault = self.folder / "vault.img"
        uuid = b"12345678-1234-1234-1234-123456789012"
        self.vault.write_bytes((b"LUKS\xba\xbe\x00\x02".ljust(168, b"\0") + uuid).ljust(1 << 20, b"\0"))

    def document(self, command, *arguments, kind, schema):
        # The verdict on this machine as a whole is its own; what a test planted is looked for by name.
        result = subprocess.run([SAFECTL, command, "--format", "json", *map(str, arguments)], capture_output=True, text=True,
                                timeout=120, stdin=subprocess.DEVNULL, cwd=self.folder)
        self.assertIn(result.returncode, (0, 1), result.stderr)
        document = json.loads(result.stdout)
        rules = json.loads((SOURCE / "docs" / "schema" / f"{schema}.schema.json").read_text())
        jsonschema.Draft202012Validator(rules).validate(document)
        self.assertEqual(document["kind"], kind)
        self.assertEqual(document["proved"], all(one["verdict"] == "ok" for one in document["findings"]))
        self.assertEqual(result.returncode, 0 if document["proved"] else 1)
        return document

    def verify(self, *arguments):
        return self.document("verify", "--state-dir", self.state, *arguments, kind="verification", schema="verify")

    def faults(self, subject, *arguments):
        return [one for one in self.verify(*arguments)["findings"] if one["subject"] == subject and one["verdict"] == "fault"]


class Verify(Checked):
    def test_json_is_as_its_schema_says(self):
        for mode in ("closed", "open", "locked"):
            document = self.verify("--mode", mode)
            self.assertEqual((document["safe"], document["mode"]), ("verified", mode))

    def test_auto_is_the_mode_in_effect(self):
        self.assertEqual(self.verify()["mode"], "closed")
        self.spec.write_text(SPEC.replace("suspend", "mode: locked\nsuspend"))
        self.assertEqual(self.verify()["mode"], "locked")
        self.assertIn("changing the file", self.run_safectl("verify", "--mode", "open", status=4).stderr)

    def test_a_process_that_holds_the_vault_is_named(self):
        self.assertEqual(self.faults("holders"), [])
        holder = subprocess.Popen(["sleep", "60"], stdin=self.vault.open("rb"))
        try:
            found = self.faults("holders")
        finally:
            holder.kill()
            holder.wait()
        self.assertEqual([one["looked_at"] for one in found], [f"/proc/{holder.pid}/fd/0"])
        self.assertIn("(sleep)", found[0]["found"])
        self.assertEqual(self.faults("holders"), [])

    def test_a_stray_key_is_found(self):
        key = self.state / "verified" / "keys" / "vault.key"
        key.parent.mkdir(parents=True)
        self.assertEqual([one for one in self.faults("files") if "outside" in one["found"]], [])
        key.write_bytes(b"k" * 64)
        self.assertEqual([one["looked_at"] for one in self.faults("files") if "outside" in one["found"]], [str(key)])

    def test_init_on_free_is_told_as_the_kernel_has_it(self):
        wiped = "init_on_free=1" in pathlib.Path("/proc/cmdline").read_text().split()
        told = [one for one in self.faults("memory") if "freed" in one["found"]]
        if wiped:
            self.assertEqual(told, [])
        elif told:
            self.assertIn("init_on_free=1", told[0]["advice"])

    def test_open_is_not_proved_by_a_closed_machine(self):
        self.assertIn("volume vault is not opened", [one["found"] for one in self.faults("mappings", "--mode", "open")])

    def test_text_says_what_was_looked_at_and_what_is_not_protected(self):
        self.state.write_text("a file, where a directory should be")
        output = subprocess.run([SAFECTL, "verify", "--mode", "open"], capture_output=True, text=True, cwd=self.folder, timeout=120)
        self.assertEqual(output.returncode, 1)
        for text in ("looked at /proc/keys", "What this state does not protect against", "NOT proved open"):
            self.assertIn(text, output.stdout)
        self.assertNotIn("\x1b", output.stdout)

    def test_it_touches_nothing(self):
        before = self.tree()
        self.verify()
        self.assertEqual(self.tree(), before)

    def test_nobody_else_than_root_proves_anything(self):
        # Root of a namespace that has no other users (tests/run --quick) is not enough.
        if os.geteuid() != 0 or int(pathlib.Path("/proc/self/uid_map").read_text().split()[2]) <= 65534:
            self.skipTest("becoming nobody needs root")
        self.folder.chmod(0o755)
        program = self.folder / "safectl"
        program.write_bytes(pathlib.Path(SAFECTL).read_bytes())
        program.chmod(0o755)
        result = subprocess.run([program, "verify", "--format", "json"], capture_output=True, text=True, cwd=self.folder,
                                user="nobody", group="nogroup", timeout=120)
        self.assertEqual(result.returncode, 1, result.stderr)
        unknown = {one["subject"] for one in json.loads(result.stdout)["findings"] if one["verdict"] == "unknown"}
        self.assertLessEqual({"mounts", "holders"}, unknown)


class Doctor(Checked):
    def test_json_is_as_its_schema_says(self):
        self.assertNotIn("safe", self.document("doctor", kind="diagnosis", schema="doctor"))
        self.assertEqual(self.document("doctor", "-f", self.spec, kind="diagnosis", schema="doctor")["safe"], "verified")

    def test_more_memory_than_any_host_has(self):
        self.spec.write_text(SPEC + "vms:\n  big: { role: service, boot: { kernel: k }, memory: 16TiB, cpus: 1 }\n")
        found = self.document("doctor", "-f", self.spec, kind="diagnosis", schema="doctor")["findings"]
        self.assertIn(("capacity", "fault"), [(one["subject"], one["verdict"]) for one in found])

    def test_a_spec_that_is_not_valid(self):
        self.spec.write_text("version: 7\n")
        self.assertIn("safe.yaml:1:", self.run_safectl("doctor", "-f", self.spec, status=1).stderr)


if __name__ == "__main__":
    unittest.main()
