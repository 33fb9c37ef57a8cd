"""Business rules: which items may be recommended, and how a slate is made of candidates."""
