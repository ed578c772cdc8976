"""I/O leaves: one file or folder each, one shape. `connectors.ports` is what they all share."""
