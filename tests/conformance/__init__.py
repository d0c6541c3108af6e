"""The second judge: random clusters, planned by Pacemaker's own scheduler and by this one."""
