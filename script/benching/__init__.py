"""What `script/bench` is made of: hosts (the processes), phones (the load), rows (what is measured), table."""
