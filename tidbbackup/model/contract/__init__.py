"""What the controller and the worker tell each other."""
