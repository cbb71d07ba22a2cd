"""Foundation without tables: base model, errors, clock, pagination. May import nothing of ours."""
