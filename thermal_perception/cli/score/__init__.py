"""`thermal-perception score`: metrics of files that any tool wrote."""
