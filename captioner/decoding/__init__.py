"""Search for the likeliest captions over any `step`, in NumPy alone.

Read `step` first: the contract between a model and a search. Then `hypothesis`, the result, and `beam`, which at width
1 is greedy search. These know no words. `captions` searches or draws for a network, `wording` turns words that a
caption must have or must not have into tokens, `consensus` chooses among the hypotheses, and `limits` bounds the memory
of a search. For the language model: `sampling` draws the next token, `completion` finds the likeliest ways to end a
word.
"""
