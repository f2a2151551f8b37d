"""A marker: this module can be imported inside the Erlang VM only."""
