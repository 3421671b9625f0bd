//! Real sockets and disks for the core.
