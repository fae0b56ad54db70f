"""Looking around: what differs, what is in a dataset, what it takes, and its versions; and going back to one.

What is looked at is not fetched: of what is elsewhere, no more is read than is shown.
"""
