"""How good captions are: words in, numbers out.

`score` gives all the figures of a set of captions; `bleu`, `rouge` and `cider` hold one metric each, from 0 to 1
(CIDEr-D: 0 to 10). Hypotheses are one caption an image, references several, both as words
without punctuation, start or end tokens. The figures agree with the COCO caption evaluation, but
for BLEU where no n-gram of some order is found: it is 0 here, and there what is left of 1e-15.

`caption_statistics` and `content_words` describe captions without scoring them. `likelihood` is for language models:
nats, bits and perplexity.
"""
