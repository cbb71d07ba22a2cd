"""One script per library, run in that library's own environment. They import nothing of this project."""
