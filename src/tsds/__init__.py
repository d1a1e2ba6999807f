"""tsds."""
