"""LOOKS: at one connection, at all of them on time, and writes down what it found."""
