"""The machine: devices and their leases, locks, signals, threads, processes, and what Snakemake needs of us."""
