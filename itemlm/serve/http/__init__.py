"""What stands between the network and the routes: errors, keys, limits, logs and metrics.

`protect.protect` puts all of it around an application in the right order; the routes themselves
know nothing of it, beyond raising `errors.ApiError`.
"""
