"""What people and programs see of a build: progress, log, events, profile."""
