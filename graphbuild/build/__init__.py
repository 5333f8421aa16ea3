"""The loop that sees both decisions and effects."""
