"""Records, chain, blobs, keys: what can be proved afterwards."""
