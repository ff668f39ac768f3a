"""The `thermal-perception` command: it parses, draws and prints, and decides nothing."""
