"""What on-call is told about: alerts and recording rules as values, and the files made of them."""
