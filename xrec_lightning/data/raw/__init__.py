"""The files of a data set -> frames in our schema."""
