"""What happens when a part is taken out: edges, activations, circuits, one vector."""
