"""The study: a labelled set of faces in, trained, measured and exported networks out. Needs the extra `[study]`."""
