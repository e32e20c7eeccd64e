"""What goes into a paper: pictures, LaTeX tables, and the names in them, from records alone."""
