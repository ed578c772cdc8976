"""The watch itself: the pure core in `monitor.core`, the shell that runs it beside."""
