"""Item tokenization: every item of a catalog becomes a short tuple of codes, its Semantic ID.

tokens           ItemTokens, the fitted result: unique codes per item, look-up both ways, append
residual_kmeans  vectors to codes with k-means on what the codes before left over; the default
balanced_kmeans  the same with every code of a level for equally many items
product          PQ and OPQ: one code for each piece of a vector, side by side
rqvae            vectors to codes with an autoencoder (needs PyTorch)
gradients        how what a decoder says of codewords reaches an encoder (needs PyTorch)
letter           RQ-VAE that behavior and even use of codes take part in (needs PyTorch)
users            codes of people, from what they took
random_ids       codes without meaning, the control that tells what meaning is worth
sequential       numbers in the order of training histories, digit by digit
titles           titles, piece by piece
collaborative    nested clusters of what is taken together, by `spectral` clustering
categories       the path of categories that a catalog has
paths            a last code for items that share such a path; one code each (independent)
quantizer        how a new vector gets its codes: the part that fitted tokens keep
kmeans           k-means in numpy, over all vectors
minibatch        the same from batches, for very many vectors
ties             giving items that share all codes the next best ones
uniform          the same by Sinkhorn's iteration, as LC-Rec
sinkhorn         prices at which as many rows want one column as another
published        tokens and whose they are, carried over to a changed catalog
migration        a new fit named as near to an old one as can be, and what changed
drift            how far a catalog has moved from the one that tokens were fitted on
lookup           rows from codes, and groups of items that share a prefix
trie             which codes may follow a prefix, for constrained decoding
neighbors        which items are near: by vectors, by company, by what came next
quality, browse  what a set of tokens is worth, and a tree of codes and titles to look at
"""
