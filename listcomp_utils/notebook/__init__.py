"""What a notebook's first and last cells use: its parameters, its claims, showing."""
