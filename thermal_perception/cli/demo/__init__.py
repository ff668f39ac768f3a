"""`thermal-perception demo`: cameras and node as real processes, watched live."""
