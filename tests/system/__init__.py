"""The product with real parts beside it: a broker, a Redis, a browser."""
