"""Training of EMIFF: what anchors are to find, samples of two cameras, losses."""
