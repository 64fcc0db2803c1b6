"""Search for the likeliest captions over any `step`, in NumPy alone; knows no photos, words or files.

Read `step` first: the contract between a model and a search, and what every search forbids. Then `hypothesis`, what a
search returns and how it is scored; and `beam`, which at width 1 is greedy search.
For the language model: `sampling` draws the next token, `completion` finds the likeliest ways to end a word.
"""
