"""A detector behind HTTP: ``rdet serve``.

An image comes in as bytes (:mod:`~rdet.serve.uploads`), is decoded and prepared by threads
(:mod:`~rdet.serve.preparing`), waits for others of its size (:mod:`~rdet.serve.batching`), and goes back as JSON or as
a picture (:mod:`~rdet.serve.app`).
"""
