"""Content on disk: blobs by digest, and the index over them."""
