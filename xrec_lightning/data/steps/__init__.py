"""The steps of `prepare`, each a pure function of frames."""
