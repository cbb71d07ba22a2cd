"""Forms of the staff pages: what a person types is checked in words before a service checks it."""
