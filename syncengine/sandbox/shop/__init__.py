"""A realistic shop, from which both simulated systems load what they start with.

`model.py` says what a shop is; `generator.py` makes one, with customers, products, ordinary and awkward orders. The
simulations import only the model.
"""
