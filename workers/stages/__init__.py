"""One file per stage; the order they run in is written in workers/pipelines/."""
