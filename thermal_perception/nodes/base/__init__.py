"""What every node has, whatever it does: life cycle, QoS, diagnostics, threads."""
