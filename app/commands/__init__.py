"""The commands of `lectr`, one file per subject."""
