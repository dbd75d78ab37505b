"""What training costs and brings: recipes on real streams, rows per second, tables beyond memory, kills, growth."""
