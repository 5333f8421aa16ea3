"""Values: what everything else is made of. They hold no state, do no I/O and import nothing of ours but each other."""
