"""What a service withstands: load, overload, swaps, kills, hostile input."""
