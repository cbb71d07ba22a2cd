"""Charts as pure functions: rows in, a Plotly figure with its table, CSV and one sentence out."""
