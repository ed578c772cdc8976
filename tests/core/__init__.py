"""The pure core, driven with a clock in hand."""
