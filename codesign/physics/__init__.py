"""What hardware and models do: closed forms of time, money and collectives, measured runs and the constants fitted to them."""
