"""Sources of videos and labels: folders, buckets, manifests, lists of public datasets."""
