"""The commands of `coppice-export`, one a file; `__main__` puts them together."""
