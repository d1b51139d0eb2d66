"""Detection in pictures and videos: what is read, how it is batched and sliced, what is written."""
