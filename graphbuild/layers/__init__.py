"""One layer, and stacks of them: index, capture, tar in, tar out, lookups, overlap. Knows files, not targets or stores."""
