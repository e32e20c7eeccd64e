"""Pictures under shift: printed and seen in a scene, or corrupted as the field does."""
