"""One flat silhouette per leaf category; each takes a Paint and returns SVG for a 400 x 400 canvas."""
