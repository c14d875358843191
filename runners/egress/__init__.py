"""The filtering proxy: which hosts a jail reaches besides its model, and at which address."""
