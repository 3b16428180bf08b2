#cloud-boothook
#!/usr/bin/python3
"""What the safe needs of a guest. cloud-init runs it at every boot, before file systems of the network are mounted.

It is told what to do by `safe` in the instance's meta-data. All but one line for sshd goes to /run, so what has left the
safe's file has left the guest at its next boot. What cannot be done is said on the console and in the kernel's log, and
cloud-init counts this part as failed. With an argument it works below that directory instead of / and starts nothing.
"""

import json
import pathlib
import subprocess
import sys

import yaml  # cloud-init itself needs it

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/")
FOR_REAL = len(sys.argv) <= 1
OURS = ROOT / "run/safe-guest"
UNITS = ROOT / "run/systemd/system"
CLOCK = ROOT / "sys/class/rtc/rtc0/since_epoch"

# Follows the hardware clock, which is the hypervisor's and goes on while the guest sleeps: within a second of waking
# the system's clock is set. What differs by less is left to whoever disciplines the clock in here.
FOLLOW_CLOCK = """
import time
while True:
    with open("/sys/class/rtc/rtc0/since_epoch") as clock:
        hardware = int(clock.read())
    if abs(hardware + 0.5 - time.time()) > 2:
        time.clock_settime(time.CLOCK_REALTIME, hardware + 0.5)
        print("the clock was set by the hypervisor's", flush=True)
    time.sleep(1)
"""

CLOCK_UNIT = """[Unit]
Description=The clock follows the hypervisor's, also past a sleep
[Service]
ExecStart=/usr/bin/python3 /run/safe-guest/clock.py
Restart=always
RestartSec=5
"""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def say(text):
    print(text, file=sys.stderr)
    if FOR_REAL:
        pathlib.Path("/dev/kmsg").write_text(f"<3>safe: {text}\n")


def instance_data():
    """What cloud-init knows, as it hands it to scripts; root alone may read this one."""
    return json.loads((ROOT / "run/cloud-init/instance-data-sensitive.json").read_text())


def own_account():
    """The image's, with whose creation every distribution configures its cloud-init. The last file that says it wins."""
    name = None
    files = [ROOT / "etc/cloud/cloud.cfg", *sorted((ROOT / "etc/cloud/cloud.cfg.d").glob("*.cfg"))]
    for file in filter(pathlib.Path.exists, files):
        said = yaml.safe_load(file.read_text()) or {}
        name = ((said.get("system_info") or {}).get("default_user") or {}).get("name", name)
    if not name or "/" in name:
        raise RuntimeError(f"cloud-init's configuration names no account of the image's own, but {name!r}")
    return name


def systemctl(*words):
    if FOR_REAL:
        subprocess.run(["systemctl", *words], check=True)


def set_nfs(safe):
    """Locks are claimed again after a sleep in which the server forgot them; and no two guests are taken for one."""
    options = {"recover_lost_locks": "1", "nfs4_unique_id": safe["client"]}
    line = " ".join(f"{name}={value}" for name, value in options.items())
    write(ROOT / "run/modprobe.d/safe-nfs.conf", f"options nfs {line}\n")
    for name, value in options.items():  # of a kernel that has loaded it already
        parameter = ROOT / "sys/module/nfs/parameters" / name
        if parameter.exists():
            parameter.write_text(value)


def mount_volumes(safe):
    """A unit each, which systemd orders by itself like the line of an fstab with _netdev."""
    units = []
    for volume in safe["mounts"]:
        escaped = subprocess.run(["systemd-escape", "--path", "--suffix=mount", volume["path"]], check=True,
                                 stdout=subprocess.PIPE, text=True)
        access = "ro" if volume["read-only"] else "rw"
        units.append(escaped.stdout.strip())
        write(UNITS / units[-1], f"[Unit]\nDescription=Volume of the safe\n[Mount]\nWhat={volume['source']}\n"
                                 f"Where={volume['path']}\nType=nfs4\nOptions=vers=4.2,hard,_netdev,{access}\n")
    systemctl("daemon-reload")
    if units:
        systemctl("start", "--no-block", *units)


def follow_clock(_safe):
    if not CLOCK.exists():
        raise RuntimeError(f"there is no {CLOCK}: the clock stays behind by what the guest slept")
    write(OURS / "clock.py", FOLLOW_CLOCK)
    write(UNITS / "safe-clock.service", CLOCK_UNIT)
    systemctl("daemon-reload")
    systemctl("start", "--no-block", "safe-clock.service")


def let_super_users_in(safe):
    """With their keys on the image's own account. A key that is no longer handed over opens nothing after this boot."""
    keys = safe["super-users"]
    settings = ROOT / "etc/ssh/sshd_config.d"
    wanted = "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /run/safe-guest/keys/%u\n"
    if not keys:
        return
    if not settings.is_dir():
        raise RuntimeError(f"there is no {settings}: the keys of super-users open nothing here")
    write(OURS / "keys" / own_account(), "".join(f"{key}\n" for key in keys))
    drop_in = settings / "40-safe.conf"
    if not drop_in.exists() or drop_in.read_text() != wanted:
        write(drop_in, wanted)


def main():
    safe = instance_data()["ds"]["meta_data"]["safe"]
    failed = False
    for part in (set_nfs, mount_volumes, follow_clock, let_super_users_in):
        try:
            part(safe)
        except Exception as error:  # one part that fails keeps none of the others from its work
            failed = True
            say(f"{part.__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
