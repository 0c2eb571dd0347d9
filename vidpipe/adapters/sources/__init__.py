"""Where videos and labels come from: folders, buckets, manifests, datasets."""
