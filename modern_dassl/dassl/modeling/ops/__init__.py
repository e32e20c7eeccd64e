"""Small functions; the layers of Dassl are not offered."""
