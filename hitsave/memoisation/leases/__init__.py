"""One computes, the others wait."""
