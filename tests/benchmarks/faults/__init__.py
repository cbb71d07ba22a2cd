"""What happens to slates and events while the parts behind them go away (`make bench-faults`)."""
