"""Neural perception for robots that see heat: what is here is imported room by room."""
