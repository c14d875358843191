"""Model endpoints that are registered here, with their keys encrypted at rest."""
