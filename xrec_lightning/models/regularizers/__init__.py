"""Terms that are added to the training loss of the fusion recommender, one file each."""
