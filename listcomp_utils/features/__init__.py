"""Sparse autoencoders on a vector whose true parts are known, and steering by them."""
