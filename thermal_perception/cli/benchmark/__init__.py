"""`thermal-perception benchmark`: what the node costs beside its network, over real DDS."""
