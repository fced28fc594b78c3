"""One call: sources and settings in, result folders out; recordings and live cameras."""
