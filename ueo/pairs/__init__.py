"""Image-text pairs: captions, pools of pairs and their nearest neighbours."""
