"""How far an office can trust the watch: simulated days of forgotten check-ins, lateness and missed visits."""
