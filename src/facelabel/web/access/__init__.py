"""Who may come in: one policy, asked at a gate before everything else."""
