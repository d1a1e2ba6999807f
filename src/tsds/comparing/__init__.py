"""Several methods side by side, measured on targets that none of them has seen."""
