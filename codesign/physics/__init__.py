"""What hardware and models do: closed forms of time, money and collectives; runs, and constants fitted to them."""
