"""Where code from strangers runs: shut in, limited, watched."""
