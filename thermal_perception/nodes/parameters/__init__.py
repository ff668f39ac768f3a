"""Parameters of every node, declared once as fields of dataclasses."""
