"""Integer kernels: tile programs in, cycles by class out. numpy and numba only.

Kernels compile on first use and are cached in a folder named after the versions of bitsim and
numba, so that an upgrade never reads a stale cache. Without any writable place they still run,
compiled anew in each process.
"""
