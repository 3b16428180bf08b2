"""The appliance's runner: machines, snapshots, the storage host, and what a script may ask of the outside. See docs/appliance.md."""
