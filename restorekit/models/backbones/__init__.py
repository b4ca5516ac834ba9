"""RemoteWeights classification networks that some systems grow from."""
