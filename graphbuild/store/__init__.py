"""What was built before: blobs, layers, action results, logs; safe for many processes, crashes and power cuts."""
