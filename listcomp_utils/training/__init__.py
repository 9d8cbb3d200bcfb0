"""Training list copiers: `train`, `train_many`, their history, and the lean forward."""
