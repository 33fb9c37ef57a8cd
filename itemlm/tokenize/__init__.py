"""Item tokenization: every item of a catalog becomes a short tuple of codes, its Semantic ID.

tokens           ItemTokens, the fitted result: unique codes per item, look-up both ways, append
residual_kmeans  vectors to codes with k-means on what the codes before left over; the default
rqvae            vectors to codes with an autoencoder (needs PyTorch)
random_ids       codes without meaning, the control that tells what meaning is worth
quantizer        how a new vector gets its codes: the part that fitted tokens keep
kmeans           k-means in numpy, over all vectors
minibatch        the same from batches, for very many vectors
ties             giving items that share all codes the next best ones
lookup           rows from codes, and groups of items that share a prefix
trie             which codes may follow a prefix, for constrained decoding
quality, browse  what a set of tokens is worth, and a tree of codes and titles to look at
"""
