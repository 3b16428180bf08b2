#!/usr/bin/env python3
"""Who may include whom. The table below is the architecture (docs/architecture.md); everything else is a defect.

usage: includes.py [ROOT]        exit 0 and one line when all is well, 1 and a line per offence otherwise
"""
import pathlib
import re
import sys

# folder -> folders (or single headers) of ours that its files may include besides itself
ALLOWED = {
    "specs": ["reconciler/base/characters.hpp"],
    "reconciler/base": [],
    "reconciler/model": ["reconciler/base"],
    "reconciler/planning": ["reconciler/base", "reconciler/model"],
    "reconciler/view": ["reconciler/base", "reconciler/model"],
    "reconciler/driver": ["specs", "reconciler/base", "reconciler/model"],
    "reconciler/applying": ["specs", "reconciler/base", "reconciler/model", "reconciler/driver", "reconciler/planning"],
    # Nothing of how drivers observe: what it finds must not rest on their mistakes.
    "reconciler/verify": ["specs", "reconciler/base", "reconciler/model", "reconciler/driver/places.hpp"],
    "reconciler/intent": ["specs", "reconciler/base", "reconciler/model"],
    "reconciler/members": ["reconciler/base"],
    "reconciler/cli": ["specs", "reconciler/base", "reconciler/model", "reconciler/driver", "reconciler/planning",
                       "reconciler/applying", "reconciler/intent", "reconciler/members", "reconciler/view",
                       "reconciler/verify"],
}
PLUGINS = ["libvirt", "nftables", "luks", "iscsi", "filesystem", "nfs", "ldap"]
ALLOWED.update({f"plugins/{name}": ["specs", "reconciler/base", "reconciler/model", "reconciler/driver"] for name in PLUGINS})
# They implement the narrow interfaces that members are managed over: directory.hpp and vault_keys.hpp.
for name in ("luks", "ldap"):
    ALLOWED[f"plugins/{name}"].append("reconciler/members")
# file -> exceptions, each with its reason
EXCEPTIONS = {
    "plugins/builtin.hpp": ["specs", "reconciler/driver", "reconciler/model", "reconciler/members"]
    + [f"plugins/{name}" for name in PLUGINS],
    "reconciler/cli/main.cpp": ["plugins"],  # mains, and nobody else, know which plugins there are
}
# library header -> the only folder (or file) that may include it
WRAPPED = {
    r"yaml-cpp/": "specs/",
    r"libvirt/": r"plugins/libvirt/[a-z_]*_lib\.cpp",
    r"nftables/": r"plugins/nftables/[a-z_]*_lib\.cpp",
    r"pugixml": "plugins/libvirt/",
    r"CLI/": "reconciler/cli/",
    r"sodium": "(reconciler/base|specs)/",
    r"libcryptsetup": r"plugins/luks/[a-z_]*_lib\.cpp",
    r"iscsi/": r"plugins/iscsi/[a-z_]*_lib\.cpp",
    r"libmount|blkid": r"plugins/filesystem/[a-z_]*_lib\.cpp",
    r"ldap|lber|sasl/": r"plugins/ldap/[a-z_]*_lib\.[ch]pp",
    r"libnetfilter_conntrack": r"plugins/nftables/[a-z_]*_lib\.cpp",
    r"sqlite3": r"reconciler/intent/[a-z_]*_lib\.cpp",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def folder_of(path: str) -> str:
    parts = path.split("/")
    return parts[0] if parts[0] == "specs" or len(parts) == 2 else "/".join(parts[:2])


def offences(root: pathlib.Path):
    files = [f for top in ("specs", "reconciler", "plugins") for f in sorted((root / top).rglob("*.[ch]pp"))]
    for file in files:
        name = file.relative_to(root).as_posix()
        folder = folder_of(name)
        if name not in EXCEPTIONS and folder not in ALLOWED:
            yield f"{name}: its folder {folder} is not in the table of {pathlib.Path(__file__).name}"
            continue
        allowed = [folder] + ALLOWED.get(folder, []) + EXCEPTIONS.get(name, [])
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            ours, theirs = match.groups()
            if ours and folder_of(ours) not in allowed and ours not in allowed:
                yield f"{name}:{number}: {folder} may not include {ours}"
            for header, place in WRAPPED.items():
                if theirs and re.match(header, theirs) and not re.match(place, name):
                    yield f"{name}:{number}: <{theirs}> belongs to {place} alone"


def main() -> int:
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = list(offences(root))
    print("\n".join(found) if found else "includes: as the architecture says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
