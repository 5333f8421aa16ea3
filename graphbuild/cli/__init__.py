"""Arguments to requests, errors to text and exit codes."""
