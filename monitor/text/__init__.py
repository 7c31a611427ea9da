"""READS what strangers wrote: in one line, bounded, without secrets, with places for mistakes."""
