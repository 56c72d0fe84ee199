"""The benchmark: our gateway and workers beside a peer, on real servers, each ratio from one run."""
