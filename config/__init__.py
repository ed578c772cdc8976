"""What people write: policies, wording, the host's settings. The lowest floor: it imports nothing of ours."""
