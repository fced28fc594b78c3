"""Reading faces in a browser: the networks and the Python code's constants in, a page that sends nothing out."""
